import { choosePipelines } from '../config/choose-pipelines.ts'
import { bySink, type DatabricksPipeline, type DeltaPipeline, tableText } from '../config/resolve.ts'
import { TailraceError } from '../errors.ts'
import { lookingAttempts, lookingStorage } from '../sinks/delta/storage/open.ts'
import { withEngine } from '../sinks/encoding/engine-session.ts'
import type { CommandContext } from './command.ts'

export interface TablesOptions {
  readonly pipeline?: string
  /** Print the statements instead of executing them. */
  readonly printsOnly: boolean
}

/**
 * Creates the tables of the config that are missing, and adds columns where evolution is allowed, as a run would. A table
 * that Databricks itself loads is left to it.
 *
 * @throws USAGE when there is nothing of that kind to do: no statement to print, or no table to create from here
 * @throws WAREHOUSE_DENIED, TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED
 */
export async function createTables(context: CommandContext, options: TablesOptions): Promise<number> {
  const { config, print } = context
  const seen = new Set<string>()
  const chosen = choosePipelines(config, options.pipeline).filter(([, pipeline]) => {
    const text = tableText(pipeline)
    return !seen.has(text) && seen.add(text)
  })
  let done = 0
  for (const [name, pipeline] of chosen) {
    const text = await (options.printsOnly
      ? bySink<Promise<string | undefined>>(pipeline, {
          delta: async () => undefined,
          databricks: async (one) => `${await definition(name, one)};\n`,
        })
      : bySink<Promise<string | undefined>>(pipeline, {
          delta: (one) => createDelta(name, one, context),
          databricks: (one) => createInWorkspace(name, one, context),
        }))
    if (text === undefined) continue
    done += 1
    await print(text)
  }
  if (done > 0) return 0
  const names = chosen.map(([name]) => name).join(', ')
  throw new TailraceError(
    'USAGE',
    options.printsOnly
      ? `The table of ${names} is written as files: there is no SQL to print.`
      : `The table of ${names} is loaded by Databricks itself: print its definition with --print and run it there.`,
  )
}

async function createDelta(
  name: string,
  pipeline: DeltaPipeline,
  { clock }: CommandContext,
): Promise<string> {
  const { DeltaCommitter } = await import('../sinks/delta/committer.ts')
  return withEngine(async (engine, temporaryDirectory) => {
    const committer = new DeltaCommitter({
      storage: lookingStorage(pipeline, temporaryDirectory, clock),
      engine,
      columns: pipeline.table.columns,
      partitionColumns: pipeline.table.partitionColumns.map(({ column }) => column),
      evolve: pipeline.sink.evolve,
      tableName: pipeline.table.name.table,
      stagingDirectory: temporaryDirectory,
      clock,
    })
    await committer.open()
    await committer.close()
    return `${name}: table ${committer.location} is at version ${committer.tableVersion}\n`
  })
}

/** @returns undefined for a table that is not created from here */
async function createInWorkspace(
  name: string,
  pipeline: DatabricksPipeline,
  context: CommandContext,
): Promise<string | undefined> {
  const { clock, logger } = context
  const { sink, table } = pipeline
  if (sink.mode === 'stage-only') {
    logger.warn(
      { pipeline: name },
      'this table is loaded by Databricks itself: --print prints its definition',
    )
    return undefined
  }
  const [{ openWorkspace }, { ensureTable }, { WorkspaceCatalog }, { readOffsets }] = await Promise.all([
    import('../sinks/databricks/workspace/workspace.ts'),
    import('../sinks/databricks/tables/live-table.ts'),
    import('../sinks/databricks/tables/catalog.ts'),
    import('../sinks/databricks/inspect.ts'),
  ])
  const file = await readOffsets(name, pipeline, context)
  const retry = { policy: { maxAttempts: lookingAttempts } }
  const workspace = await openWorkspace(name, pipeline, { retry, clock, logger })
  try {
    const { warehouse } = workspace
    if (warehouse === undefined) throw new TailraceError('CONFIG_INVALID', 'sink.httpPath is missing.')
    const { layout, properties, evolve } = sink
    await new WorkspaceCatalog(warehouse).requireSchema(table.name)
    await ensureTable({
      warehouse,
      declaration: table,
      layout,
      properties,
      create: true,
      evolve,
      hasLanded: (file?.offsets.blobCount ?? 0) > 0,
    })
    return `${name}: table ${Object.values(table.name).join('.')} is there with the declared columns\n`
  } finally {
    await workspace.close()
  }
}

async function definition(name: string, { sink, table }: DatabricksPipeline): Promise<string> {
  if (sink.mode !== 'stage-only') {
    const { createTableSql } = await import('../sinks/databricks/tables/definition.ts')
    return createTableSql(table, sink)
  }
  const [{ streamingTableSql }, { stagingFolderOf }] = await Promise.all([
    import('../sinks/databricks/tables/definition.ts'),
    import('../sinks/databricks/workspace/workspace.ts'),
  ])
  return streamingTableSql(table, {
    layout: sink.layout,
    folder: stagingFolderOf(name, { sink, table }) ?? '',
  })
}
