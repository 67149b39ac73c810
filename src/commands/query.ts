import { createViews, queryViews } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import type { CommandContext } from './command.ts'
import { lookingStorage } from './looking-storage.ts'
import { withEngine } from './with-engine.ts'

/** Runs one SQL statement over the config's tables and prints its rows. */
export async function query(
  { config, clock, print }: CommandContext,
  sql: string,
  json: boolean,
): Promise<number> {
  const { columns, rows } = await withEngine(async (engine, temporaryDirectory) => {
    await createViews(engine, config, (pipeline) => lookingStorage(pipeline, temporaryDirectory, clock))
    return queryViews(engine, sql)
  })
  if (json) {
    for (const row of rows) {
      print(`${JSON.stringify(Object.fromEntries(columns.map((column, index) => [column, row[index]])))}\n`)
    }
  } else print(printTable(columns, rows))
  return 0
}
