import { isTailraceError } from '../../errors.ts'
import { type LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import { OffsetFile, type OffsetFileContent } from '../../offsets/offset-file.ts'
import { interactiveRetry } from '../../retry.ts'
import { qualifiedName } from '../../tables/spark-sql.ts'
import { LandedRows } from '../landed-rows.ts'
import type { SinkContext, TableInspection } from '../sink.ts'
import { RangeRows } from './loading/range-rows.ts'
import { openWorkspace, type Workspace } from './open-workspace.ts'
import { type DatabricksOptions, type DatabricksTarget, tableId } from './options.ts'
import { WorkspaceCatalog } from './tables/catalog.ts'
import { planTable } from './tables/live-table.ts'
import type { StreamingWarehouse } from './warehouse/warehouse.ts'

/**
 * Inspects a table in a Databricks workspace through its warehouse. Landed offsets come from the offset file, or without
 * one from the table's rows, as at the next start.
 *
 * @throws OFFSET_FILE_CORRUPT when the offsets cannot be computed from rows, as in mode stage-only
 */
export async function inspectDatabricks(context: SinkContext<DatabricksOptions>): Promise<TableInspection> {
  const { target, signal, clock, logger } = context
  const file = await readOffsets(context)
  const retry = { policy: interactiveRetry }
  const workspace = await openWorkspace(target, { retry, signal, clock, logger })
  const { warehouse } = workspace
  const { name: table } = target.table
  const present = async (): Promise<StreamingWarehouse | undefined> =>
    warehouse !== undefined && (await new WorkspaceCatalog(warehouse).hasTable(table)) ? warehouse : undefined
  return {
    generations: async () => {
      if (file !== undefined) return [...file.offsets]
      const from = target.sink.mode === 'stage-only' ? undefined : await present()
      if (from === undefined) return []
      logger.warn(
        { pipeline: target.name },
        'there is no usable offset file: taking from the rows what is landed',
      )
      return offsetsByRows(from, target)
    },
    rows: async () => {
      const from = await present()
      return from && rowsOf(from, qualifiedName(table))
    },
    check: async () => [
      await checkTable(warehouse, target, (file?.offsets.blobCount ?? 0) > 0),
      ...(await checkStaging(workspace)),
      ...(file?.intent === undefined ? [] : ['a batch is under way, or the next start ends it']),
    ],
    close: () => workspace.close(),
  }
}

/** @returns undefined when there is none, and where the rows can stand in for one that is unusable */
export async function readOffsets({
  target,
  stateDirectory,
  logger,
}: SinkContext<DatabricksOptions>): Promise<OffsetFileContent | undefined> {
  const { name } = target
  const store = new OffsetFile({
    stateDirectory,
    pipeline: name,
    table: tableId(target),
  })
  try {
    return await store.read()
  } catch (error) {
    if (!isTailraceError(error, 'OFFSET_FILE_CORRUPT') || target.sink.mode === 'stage-only') throw error
    logger.warn({ err: error, pipeline: name }, 'the offset file is unusable')
    return undefined
  }
}

async function offsetsByRows(
  warehouse: StreamingWarehouse,
  { table, landsBlob }: DatabricksTarget,
): Promise<readonly LandedOffset[]> {
  const offsets = new LandedOffsets()
  for (const landed of await new RangeRows(warehouse, table.name).ends()) {
    if (landsBlob(landed.blob)) offsets.set(landed)
  }
  return [...offsets]
}

/** Fails where a run would. */
async function checkTable(
  warehouse: StreamingWarehouse | undefined,
  { sink, table }: DatabricksTarget,
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
  return `table ${name} does not have ${plan.lacks.map((column) => column.name).join(', ')}: a run adds them`
}

async function checkStaging({ warehouse, staging }: Workspace): Promise<readonly string[]> {
  if (staging === undefined) return []
  // The Files API lists a folder of a missing volume as empty, so only the warehouse can check the volume.
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
      warehouse.execute({ label: 'read landed rows', sql, parameters, repeatable: true }),
    stream: (sql, take) => warehouse.stream({ label: 'read landed rows', sql, repeatable: false }, take),
  })
}
