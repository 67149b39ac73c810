import { isTailraceError, TailraceError } from '../../errors.ts'
import type { LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { PinnedTable } from '../../offsets/offset-file-writer.ts'
import { qualifiedName } from '../../tables/spark-sql.ts'
import type { OpenSink } from '../sink.ts'
import { maxUnsentMs, type Orphans } from './loading/orphans.ts'
import { createdProperties, type DatabricksOptions, type DatabricksTarget } from './options.ts'
import { WorkspaceCatalog } from './tables/catalog.ts'
import { keyColumns } from './tables/key-columns.ts'
import { ensureTable, type PlanTableOptions } from './tables/live-table.ts'
import type { TableFacts } from './tables/table-facts.ts'
import { readTableHistory, requireSameTable } from './tables/table-history.ts'
import type { OffsetsTable } from './transactions/offsets-table.ts'
import type { Warehouse } from './warehouse/warehouse.ts'

export interface OpenTableOptions {
  readonly warehouse: Warehouse
  readonly target: DatabricksTarget
  /** The folder of staged files; undefined where none are staged. */
  readonly stagingFolder: string | undefined
  /** Whether rows were landed in the table before; a missing table is an error then. */
  readonly hasLanded: PlanTableOptions['hasLanded']
  /** Whether a missing table is created. Default as the sink's `createTable` says. */
  readonly create?: boolean | undefined
}

/** Starting a warehouse takes minutes at most; a statement may wait so long before its own time begins. */
const maxStartMs = 900_000

/** @returns the longest time from the announcement of a load to the end of its statement, in milliseconds */
function maxLoadLifeMs({ statementTimeoutMs }: DatabricksTarget['sink']): number {
  return maxUnsentMs + maxStartMs + statementTimeoutMs
}

/** How long loads of earlier processes are waited for. */
export function orphansOf({
  target,
  logger,
  signal,
}: Pick<OpenSink<DatabricksOptions>, 'target' | 'logger' | 'signal'>): Orphans {
  return {
    maxMs: maxLoadLifeMs(target.sink),
    onWait: (ms) =>
      logger.warn({ waitMs: ms }, 'waiting until no statement of an earlier process can still run'),
    signal,
  }
}

/**
 * Checks that the table is the one that blobs were landed in, reports who may have removed rows since the last start, and
 * pins the table in the offset file.
 *
 * @param stored what the offsets table has pinned, where the offset file says nothing
 * @returns the table's id and version, which the offset file has now
 * @throws TABLE_MISSING
 */
export async function watchTable(
  { target, storedOffsets, offsets, logger }: OpenSink<DatabricksOptions>,
  warehouse: Warehouse,
  facts: TableFacts,
  stored?: PinnedTable | undefined,
): Promise<PinnedTable> {
  const before = pinnedIn(storedOffsets) ?? stored
  requireSameTable(target.table.name, before?.id, facts.id)
  const { version, removals } = await readTableHistory(warehouse, target.table.name, before?.version)
  const pinned = { id: facts.id, version }
  offsets.pinTable(pinned)
  if (removals.length > 0) {
    logger.warn(
      { removals: removals.slice(0, 10), count: removals.length },
      'somebody has changed or restored the table: rows that were landed may be gone, which tailrace verify shows',
    )
  }
  return pinned
}

/** @returns the table that an offset file belongs to; undefined where it does not say so */
export function pinnedIn(
  storedOffsets: OpenSink<DatabricksOptions>['storedOffsets'],
): PinnedTable | undefined {
  if (typeof storedOffsets !== 'object' || storedOffsets.tableId === undefined) return undefined
  return { id: storedOffsets.tableId, version: storedOffsets.tableVersion }
}

/** @returns the offsets of a usable offset file */
export function recordedIn(
  storedOffsets: OpenSink<DatabricksOptions>['storedOffsets'],
): LandedOffsets | undefined {
  return typeof storedOffsets === 'object' ? storedOffsets.offsets : undefined
}

/**
 * @param recorded the offset file's; undefined without one
 * @returns whether rows were landed in the table before, by the offset file or by the offsets table
 */
export function hasLandedIn(
  offsets: OffsetsTable | undefined,
  recorded: LandedOffsets | undefined,
): () => Promise<boolean> {
  return async () =>
    (recorded?.blobCount ?? 0) > 0 || ((await offsets?.readIfThere())?.offsets.length ?? 0) > 0
}

/**
 * Creates the table of a pipeline or checks its schema, and checks that the volume is there. Mode auto creates a table
 * without catalog-managed commits where the workspace refuses them.
 */
export async function openTable({
  warehouse,
  target,
  stagingFolder,
  hasLanded,
  create = target.sink.createTable,
}: OpenTableOptions): Promise<void> {
  const { sink, table: declaration } = target
  if (stagingFolder !== undefined) await new WorkspaceCatalog(warehouse).requireVolume(stagingFolder)
  const ensure = (properties: Readonly<Record<string, string>>): Promise<void> =>
    ensureTable({
      warehouse,
      declaration,
      layout: sink.layout,
      properties,
      create,
      evolve: sink.evolve,
      hasLanded,
    })
  try {
    await ensure(createdProperties(sink))
  } catch (error) {
    if (sink.mode !== 'auto' || !isTailraceError(error, 'STATEMENT_FAILED')) throw error
    await ensure(sink.properties)
  }
}

/**
 * @returns why the rows of a table cannot be seen or compared by a mode, as the end of a sentence; undefined when they can
 */
export function restrictionOf({ hasRowFilter, maskedColumns }: TableFacts): string | undefined {
  if (hasRowFilter) return 'has a row filter, which may hide rows that are landed'
  const masked = maskedColumns.filter((column) => places.has(column.toLowerCase()))
  return masked.length === 0
    ? undefined
    : `has a mask on ${masked.join(', ')}, which may hide where rows come from`
}

/** @throws TABLE_UNSUPPORTED when a mode that compares rows could not see some of them, and would land them again */
export function requireVisibleRows(facts: TableFacts, { sink, table }: DatabricksTarget): void {
  const restriction = restrictionOf(facts)
  if (restriction === undefined) return
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `The table ${qualifiedName(table.name)} ${restriction}: mode ${sink.mode} would land them again. Remove it, or use mode copy-into.`,
  )
}

/**
 * https://docs.databricks.com/ingestion/zerobus-limits (read 2026-11-29)
 *
 * @throws TABLE_UNSUPPORTED for a table that Zerobus must not write
 */
export function requireNoCatalogCommits(
  { hasCatalogCommits }: TableFacts,
  { table }: Pick<DatabricksTarget, 'table'>,
): void {
  if (!hasCatalogCommits) return
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `The table ${qualifiedName(table.name)} has catalog-managed commits, which Zerobus does not support: use mode transaction, or another table.`,
  )
}

/** Why a pipeline does not land by transactions. */
export interface NoTransactions {
  /** Completes the sentence "The table … does not land by transactions: it …". */
  readonly because: string
  readonly facts: TableFacts
  readonly cause?: unknown
}

/** @returns undefined when a transaction can write to a table with these facts */
export function obstacleOf(facts: TableFacts): string | undefined {
  if (!facts.hasCatalogCommits) return 'has no catalog-managed commits'
  if (facts.maskedColumns.length > 0) return `has a mask on ${facts.maskedColumns.join(', ')}`
  return restrictionOf(facts)
}

/** @throws TABLE_UNSUPPORTED, LOAD_UNCLEAR */
export function refuseNoTransactions(
  { table }: Pick<DatabricksTarget, 'table'>,
  { because, facts, cause }: NoTransactions,
): never {
  const name = qualifiedName(table.name)
  const isHidden = restrictionOf(facts) !== undefined
  const isUpgradable =
    !facts.hasCatalogCommits && obstacleOf({ ...facts, hasCatalogCommits: true }) === undefined
  const upgrade = isUpgradable
    ? `, or let its owner run ALTER TABLE ${name} SET TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')`
    : ''
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `The table ${name} cannot take transactions: it ${because}. Set sink.mode to ${isHidden ? 'copy-into' : 'replace-where or copy-into'}, or leave it out${upgrade}.`,
    { cause },
  )
}

/** The columns that say where a row comes from. */
const places: ReadonlySet<string> = new Set([...keyColumns, 'source_length', 'ingest_ts'])
