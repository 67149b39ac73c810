import { TailraceError } from '../../errors.ts'
import type { LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { OffsetFileContent } from '../../offsets/offset-file.ts'
import { interactiveRetry } from '../../retry.ts'
import { qualifiedName } from '../../tables/spark-sql.ts'
import { LandedRows } from '../landed-rows.ts'
import type { SinkContext, TableInspection } from '../sink.ts'
import { RangeRows } from './loading/range-rows.ts'
import {
  hasLandedIn,
  obstacleOf,
  pinnedIn,
  refuseNoTransactions,
  requireNoCatalogCommits,
  requireVisibleRows,
  restrictionOf,
} from './open-table.ts'
import { openWorkspace, type Workspace } from './open-workspace.ts'
import {
  type DatabricksOptions,
  type DatabricksTarget,
  hasOffsetsInRows,
  prefersTransactions,
} from './options.ts'
import { readOffsets } from './read-offsets.ts'
import { requireNothingStaged } from './staging/nothing-staged.ts'
import { WorkspaceCatalog } from './tables/catalog.ts'
import { planTable } from './tables/live-table.ts'
import { readTableFacts, type TableFacts } from './tables/table-facts.ts'
import { readTableHistory } from './tables/table-history.ts'
import { ownOffsets } from './transactions/hand-over.ts'
import { OffsetsTable, type StoredOffsets } from './transactions/offsets-table.ts'
import type { StreamingWarehouse } from './warehouse/warehouse.ts'
import { readName, rowsOnceLack, rowsOnceName } from './zerobus/rows-once.ts'

/**
 * Inspects a table in a Databricks workspace through its warehouse. Landed offsets come from the offset file, or without
 * one from the table's rows, as at the next start.
 *
 * @throws OFFSET_FILE_CORRUPT when the offsets cannot be computed from rows, as in modes stage-only and zerobus
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
      const stored = await offsetsInTable(warehouse, target)
      if (stored !== undefined) return stored
      if (file !== undefined) return [...file.offsets]
      const from = hasOffsetsInRows(target.sink) ? await present() : undefined
      if (from === undefined) return []
      logger.warn(
        { pipeline: target.name },
        'there is no usable offset file: taking from the rows what is landed',
      )
      return offsetsByRows(from, target)
    },
    rows: async () => {
      const from = await present()
      if (from !== undefined && target.sink.mode === 'zerobus') await requireRowsOnce(from, target)
      return from && rowsOf(from, qualifiedName(readName(target)))
    },
    showsWithinMs: target.sink.mode === 'zerobus' ? 60_000 : undefined,
    check: async () => [
      ...(await checkZerobus(workspace, target)),
      ...(await checkTable(warehouse, target, file?.offsets)),
      ...(await checkStaging(workspace, target, file !== undefined)),
      ...(file?.intent === undefined ? [] : ['a batch is under way, or the next start ends it']),
    ],
    changes: async () => {
      const from = target.sink.mode === 'stage-only' ? undefined : await present()
      return from === undefined ? [] : tableChanges(from, target, file)
    },
    close: () => workspace.close(),
  }
}

/** The changes that the next start would report, or stop for. */
async function tableChanges(
  warehouse: StreamingWarehouse,
  target: DatabricksTarget,
  file: OffsetFileContent | undefined,
): Promise<readonly string[]> {
  const { table } = target
  const before = pinnedIn(file) ?? (await storedIn(warehouse, target))?.pinned
  const { id } = await readTableFacts(warehouse, table.name)
  if (before?.id !== undefined && id !== undefined && before.id !== id) {
    return [
      `the table was dropped and created again (found id ${id}, expected ${before.id}): rows that were landed before are not in it`,
    ]
  }
  const { removals } = await readTableHistory(warehouse, table.name, before?.version)
  return removals.map(
    ({ version, operation, userName }) =>
      `${operation} by ${userName} in version ${version} may have removed landed rows: tailrace verify shows whether`,
  )
}

async function offsetsByRows(
  warehouse: StreamingWarehouse,
  { table, landsBlob }: DatabricksTarget,
): Promise<readonly LandedOffset[]> {
  return [...ownOffsets(await new RangeRows(warehouse, table.name).ends(), landsBlob)]
}

/** @returns undefined where the offsets table is not the authority, in modes that use it */
async function offsetsInTable(
  warehouse: StreamingWarehouse | undefined,
  target: DatabricksTarget,
): Promise<readonly LandedOffset[] | undefined> {
  const stored = await storedIn(warehouse, target)
  return stored && [...ownOffsets(stored.offsets, target.landsBlob)]
}

/** @returns the content of the offsets table where it is the authority, in modes that use it */
async function storedIn(
  warehouse: StreamingWarehouse | undefined,
  { name, sink, table }: DatabricksTarget,
): Promise<StoredOffsets | undefined> {
  if (warehouse === undefined || !prefersTransactions(sink)) return undefined
  const stored = await new OffsetsTable(warehouse, table.name, name).readIfThere()
  return stored?.isAuthority === true ? stored : undefined
}

/** Fails where a run would. */
async function checkTable(
  warehouse: StreamingWarehouse | undefined,
  target: DatabricksTarget,
  recorded: LandedOffsets | undefined,
): Promise<readonly string[]> {
  const { sink, table } = target
  const name = qualifiedName(table.name)
  if (warehouse === undefined && sink.mode === 'zerobus') return []
  const isLoadedThere = [`table ${name} is loaded by Databricks itself`]
  if (warehouse === undefined) return isLoadedThere
  if (sink.mode === 'stage-only') {
    const catalog = new WorkspaceCatalog(warehouse)
    await catalog.requireSchema(table.name)
    if (await catalog.hasTable(table.name)) return isLoadedThere
    return [`no table ${name}: run there what tailrace tables create --print prints`]
  }
  const { createTable: create, evolve } = sink
  const offsetsTable = new OffsetsTable(warehouse, table.name, target.name)
  const hasLanded = hasLandedIn(offsetsTable, recorded)
  const plan = await planTable({ warehouse, declaration: table, create, evolve, hasLanded })
  if (plan.kind === 'create') return [`no table yet: a run creates ${name}`]
  const stored = await storedIn(warehouse, target)
  if (stored !== undefined && recorded !== undefined)
    offsetsTable.requireNotSetBack(ownOffsets(recorded, target.landsBlob), stored)
  const facts = await readTableFacts(warehouse, table.name)
  const lacks = plan.lacks.map((column) => column.name).join(', ')
  return [
    lacks === ''
      ? `table ${name} has the declared columns`
      : `table ${name} does not have ${lacks}: a run adds them`,
    modeSentence(facts, target),
    ...(sink.mode === 'zerobus' ? await checkRowsOnce(warehouse, target) : []),
  ]
}

/** A run lands rows without the view, but nobody could read each once. */
async function checkRowsOnce(
  warehouse: StreamingWarehouse,
  { table, sink }: DatabricksTarget,
): Promise<readonly string[]> {
  const lack = await rowsOnceLack(warehouse, table.name)
  if (lack === undefined) return []
  const remedy = sink.createTable ? 'a run creates it' : 'run tailrace tables create'
  return [`the view ${qualifiedName(rowsOnceName(table.name))} ${lack}: ${remedy}`]
}

/** @throws TABLE_MISSING when the view that shows each row once cannot be read */
async function requireRowsOnce(
  warehouse: StreamingWarehouse,
  { table }: Pick<DatabricksTarget, 'table'>,
): Promise<void> {
  const view = rowsOnceName(table.name)
  if (await new WorkspaceCatalog(warehouse).hasTable(view)) return
  throw new TailraceError(
    'TABLE_MISSING',
    `The principal cannot see the view ${qualifiedName(view)}, which shows each row once: run tailrace tables create, or have its owner grant SELECT on it.`,
  )
}

/** @throws TABLE_UNSUPPORTED when the mode cannot land in a table with these facts */
function modeSentence(facts: TableFacts, target: DatabricksTarget): string {
  const { mode } = target.sink
  if (mode === 'zerobus') {
    requireNoCatalogCommits(facts, target)
    return `rows land at least once by mode zerobus: read ${qualifiedName(readName(target))}, which shows each once`
  }
  const obstacle = obstacleOf(facts)
  if (mode === 'transaction' && obstacle !== undefined)
    refuseNoTransactions(target, { because: obstacle, facts })
  if (mode === 'merge' || mode === 'replace-where') requireVisibleRows(facts, target)
  const restriction = restrictionOf(facts)
  if (restriction !== undefined) {
    return `the table ${restriction}: mode copy-into counts on the list of loaded files, and a lost offset file cannot be computed from rows`
  }
  if (mode !== 'auto') return `rows land by mode ${mode}`
  return obstacle === undefined
    ? 'rows and offsets land in one transaction, if the warehouse has transactions'
    : `rows land by mode replace-where: the table ${obstacle}`
}

/** Asks for a token that allows to write to the table; sends no row. */
async function checkZerobus(
  { zerobus, warehouse }: Workspace,
  { table }: DatabricksTarget,
): Promise<readonly string[]> {
  if (zerobus === undefined) return []
  await zerobus.requireToken()
  const beside = warehouse === undefined ? '; without sink.httpPath the table itself is not looked at' : ''
  return [`Zerobus gets a token for the table ${qualifiedName(table.name)}${beside}`]
}

async function checkStaging(
  { warehouse, staging }: Workspace,
  { sink }: DatabricksTarget,
  hasOffsets: boolean,
): Promise<readonly string[]> {
  if (staging === undefined) return []
  // The Files API lists a folder of a missing volume as empty, so only the warehouse can check the volume.
  if (warehouse !== undefined) await new WorkspaceCatalog(warehouse).requireVolume(staging.folder)
  if (sink.mode === 'stage-only' && !hasOffsets) await requireNothingStaged(staging)
  else await staging.list('')
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
