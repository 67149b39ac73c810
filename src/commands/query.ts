import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createViews, queryViews } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import { EmbeddedEngine } from '../sinks/duckdb.ts'
import type { CommandContext } from './command.ts'

/** Runs one SQL statement over the config's tables and prints its rows. */
export async function query({ config, print }: CommandContext, sql: string, json: boolean): Promise<number> {
  const { columns, rows } = await withViews(config, (engine) => queryViews(engine, sql))
  if (json) {
    for (const row of rows) {
      print(`${JSON.stringify(Object.fromEntries(columns.map((column, index) => [column, row[index]])))}\n`)
    }
  } else print(printTable(columns, rows))
  return 0
}

/** Gives an operation an engine in which every table of the config is a view. */
export async function withViews<T>(
  config: CommandContext['config'],
  operation: (engine: EmbeddedEngine) => Promise<T>,
): Promise<T> {
  const spill = await mkdtemp(join(tmpdir(), 'tailrace-query-'))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: spill, memoryMiB: 1024 })
  try {
    await createViews(engine, config)
    return await operation(engine)
  } finally {
    engine.close()
    await rm(spill, { recursive: true, force: true })
  }
}
