import type { CommandContext } from '../../commands/command.ts'
import { type DatabricksPipeline, offsetsTable } from '../../config/resolve.ts'
import { isTailraceError, TailraceError } from '../../errors.ts'
import { type LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import { OffsetFile, type OffsetFileContent } from '../../offsets/offset-file.ts'
import type { TakeRows } from '../../reporting/row-batch.ts'
import { blobTest } from '../../sources/discovery/blob-selection.ts'
import { lookingAttempts } from '../delta/storage/open.ts'
import { LandedRows } from '../landed-rows.ts'
import type { LookedTable } from '../table-inspection.ts'
import { RangeRows } from './loading/range-rows.ts'
import { WorkspaceCatalog } from './tables/catalog.ts'
import { qualifiedName } from './tables/definition.ts'
import { planTable } from './tables/live-table.ts'
import type { StreamingWarehouse } from './warehouse/warehouse.ts'
import { openWorkspace, type Workspace } from './workspace/workspace.ts'

type Context = Pick<CommandContext, 'config' | 'clock' | 'logger'>

/**
 * Looks at a table in a Databricks workspace, through its warehouse. What has landed is in the offset file; where there
 * is none, the rows tell, as they would at the next start.
 *
 * @throws OFFSET_FILE_CORRUPT where nothing but the file could tell what is landed
 */
export async function lookAtDatabricks(
  name: string,
  pipeline: DatabricksPipeline,
  context: Context,
): Promise<LookedTable> {
  const { clock, logger } = context
  const file = await readOffsets(name, pipeline, context)
  const retry = { policy: { maxAttempts: lookingAttempts } }
  const workspace = await openWorkspace(name, pipeline, { retry, clock, logger })
  const { warehouse } = workspace
  const { name: table } = pipeline.table
  const present = async (): Promise<StreamingWarehouse | undefined> =>
    warehouse !== undefined && (await new WorkspaceCatalog(warehouse).hasTable(table)) ? warehouse : undefined
  return {
    generations: async () => {
      if (file !== undefined) return [...file.offsets]
      const from = pipeline.sink.mode === 'stage-only' ? undefined : await present()
      if (from === undefined) return []
      logger.warn({ pipeline: name }, 'there is no usable offset file: taking from the rows what is landed')
      return offsetsByRows(from, pipeline)
    },
    rows: async () => {
      const from = await present()
      return from && rowsOf(from, qualifiedName(table))
    },
    check: async () => [
      await checkTable(warehouse, pipeline, (file?.offsets.blobCount ?? 0) > 0),
      ...(await checkStaging(workspace)),
      ...(file?.intent === undefined ? [] : ['a batch is under way, or the next start ends it']),
    ],
    close: () => workspace.close(),
  }
}

/** @returns undefined when there is none, and where the rows can stand in for one that is unusable */
export async function readOffsets(
  name: string,
  pipeline: DatabricksPipeline,
  { config, logger }: Context,
): Promise<OffsetFileContent | undefined> {
  const store = new OffsetFile({
    stateDirectory: config.stateDirectory,
    pipeline: name,
    table: offsetsTable(pipeline),
  })
  try {
    return await store.read()
  } catch (error) {
    if (!isTailraceError(error, 'OFFSET_FILE_CORRUPT') || pipeline.sink.mode === 'stage-only') throw error
    logger.warn({ err: error, pipeline: name }, 'the offset file is unusable')
    return undefined
  }
}

async function offsetsByRows(
  warehouse: StreamingWarehouse,
  { table, source }: DatabricksPipeline,
): Promise<readonly LandedOffset[]> {
  const offsets = new LandedOffsets()
  const isOwn = blobTest(source)
  for (const landed of await new RangeRows(warehouse, table.name).ends()) {
    if (isOwn(landed.blob)) offsets.set(landed)
  }
  return [...offsets]
}

/** Fails where a run would. */
async function checkTable(
  warehouse: StreamingWarehouse | undefined,
  { sink, table }: DatabricksPipeline,
  hasLanded: boolean,
): Promise<string> {
  const name = qualifiedName(table.name)
  const isLoadedThere = `table ${name} is loaded by Databricks itself`
  if (warehouse === undefined) return isLoadedThere
  if (sink.mode === 'stage-only') {
    const catalog = new WorkspaceCatalog(warehouse)
    await catalog.requireSchema(table.name)
    if (await catalog.hasTable(table.name)) return isLoadedThere
    return `no table ${name}: run there what tailrace tables create --print prints`
  }
  const { createTable: create, evolve } = sink
  const plan = await planTable({ warehouse, declaration: table, create, evolve, hasLanded })
  if (plan.kind === 'create') return `no table yet: a run creates ${name}`
  if (plan.lacks.length === 0) return `table ${name} has the declared columns`
  return `table ${name} lacks ${plan.lacks.map((column) => column.name).join(', ')}: a run adds them`
}

async function checkStaging({ warehouse, staging }: Workspace): Promise<readonly string[]> {
  if (staging === undefined) return []
  // Without a warehouse a folder that is missing looks like one that is not made yet.
  if (warehouse !== undefined) await new WorkspaceCatalog(warehouse).requireVolume(staging.folder)
  await staging.list('')
  return [`files are staged in ${staging.folder}`]
}

function rowsOf(warehouse: StreamingWarehouse, relation: string): LandedRows {
  return new LandedRows({
    relation,
    ends: (generations) => {
      const values = generations.map(({ blob, generation, offset }, id) => ({
        id,
        blob,
        generation,
        end_offset: offset,
      }))
      const type = 'ARRAY<STRUCT<id: INT, blob: STRING, generation: STRING, end_offset: BIGINT>>'
      return {
        sql: `(SELECT inline(from_json(:ends, '${type}'))) AS given`,
        parameters: { ends: JSON.stringify(values) },
      }
    },
    query: (sql, parameters = {}) =>
      warehouse.execute({ label: 'look at the rows', sql, parameters, repeatable: true }),
    stream: (sql, take) => warehouse.stream({ label: 'look at the rows', sql, repeatable: false }, take),
  })
}

/**
 * Has a warehouse execute a statement of the user's own and hands its rows on. 64-bit integers come as text, as from Delta tables; instants
 * in ISO 8601, bytes in base64.
 *
 * @throws USAGE where the pipeline has no warehouse
 * @throws STATEMENT_FAILED, WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE
 */
export async function queryWorkspace(
  [name, pipeline]: readonly [name: string, pipeline: DatabricksPipeline],
  sql: string,
  { clock, logger }: Pick<CommandContext, 'clock' | 'logger'>,
  take: TakeRows,
): Promise<void> {
  const retry = { policy: { maxAttempts: lookingAttempts } }
  const { warehouse, close } = await openWorkspace(name, pipeline, { retry, clock, logger })
  try {
    if (warehouse === undefined) {
      throw new TailraceError('USAGE', `The pipeline ${name} has no sink.httpPath: no warehouse to ask.`)
    }
    // It may be anything, so it is sent once.
    await warehouse.stream({ label: 'query', sql, repeatable: false }, ({ columns, rows }) =>
      take({ columns, rows: rows.map((row) => row.map(shown)) }),
    )
  } finally {
    await close()
  }
}

function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Date) return value.toISOString()
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
