import { isTailraceError, TailraceError } from '../../errors.ts'
import { LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { LoadIntent } from '../../offsets/load-intent.ts'
import type { PinnedTable } from '../../offsets/offset-file-writer.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import type { OpenSink } from '../sink.ts'
import { DatabricksCommitter } from './committer.ts'
import { CopyInto } from './loading/copy-into.ts'
import { MergeLoader } from './loading/merge-loader.ts'
import { outwaitOrphans } from './loading/orphans.ts'
import { RangeRows } from './loading/range-rows.ts'
import { ReplaceWhereLoader } from './loading/replace-where-loader.ts'
import type { RowLoader } from './loading/row-loader.ts'
import { type TableLoad, VolumeLoader } from './loading/volume-loader.ts'
import { intendedFiles, requireStaging, stagedFilesOf, unitFilesOf } from './open-staging.ts'
import {
  hasLandedIn,
  openTable,
  orphansOf,
  recordedIn,
  requireNoCatalogCommits,
  requireVisibleRows,
  restrictionOf,
  watchTable,
} from './open-table.ts'
import type { Workspace } from './open-workspace.ts'
import type { DatabricksOptions } from './options.ts'
import { BatchFiles } from './staging/batch-files.ts'
import { ingestedFiles } from './staging/ingested-files.ts'
import { SentMarks } from './staging/sent-marks.ts'
import type { StagedFilesOptions } from './staging/staged-files.ts'
import type { VolumeStaging } from './staging/volume-staging.ts'
import { liveColumnNames } from './tables/live-table.ts'
import { readTableFacts, type TableFacts } from './tables/table-facts.ts'
import { readTableHistory } from './tables/table-history.ts'
import { handOver } from './transactions/hand-over.ts'
import { OffsetsTable } from './transactions/offsets-table.ts'
import type { StreamingWarehouse } from './warehouse/warehouse.ts'
import { ensureRowsOnce } from './zerobus/rows-once.ts'
import { ZerobusLoader } from './zerobus/zerobus-loader.ts'

/** A mode whose offsets are in the offset file. */
export type LedgerMode = Exclude<DatabricksOptions['mode'], 'auto' | 'transaction'>

/**
 * Opens a table for a mode whose offsets are in the offset file: first completes or discards the load of an earlier
 * process, and takes the offsets over from the offsets table if the pipeline has landed by transactions before.
 *
 * @throws TABLE_UNSUPPORTED, LOAD_UNCLEAR
 */
export async function openLedger(
  context: OpenSink<DatabricksOptions>,
  workspace: Workspace,
  mode: LedgerMode,
): Promise<DatabricksCommitter> {
  const { target, offsets } = context
  const recorded = await settledOffsets(context, workspace, mode)
  const table = offsetsTableOf(context, workspace)
  const handedOver = table && (await handOver(table, target.landsBlob, offsets))
  return openedIn(context, workspace, mode, handedOver ?? { offsets: recorded })
}

function offsetsTableOf(
  { target }: Pick<OpenSink<DatabricksOptions>, 'target'>,
  { warehouse }: Pick<Workspace, 'warehouse'>,
): OffsetsTable | undefined {
  return warehouse && new OffsetsTable(warehouse, target.table.name, target.name)
}

/**
 * Completes or discards a load that was begun in mode copy-into, before the pipeline lands in a mode that records none.
 *
 * @returns the recorded offsets; undefined when there is no usable offset file
 */
export async function settledOffsets(
  context: OpenSink<DatabricksOptions>,
  workspace: Workspace,
  mode: DatabricksOptions['mode'],
): Promise<LandedOffsets | undefined> {
  const { offsets, storedOffsets } = context
  const recorded = recordedIn(storedOffsets)
  const mayBeginOther = mode === 'transaction' || mode === 'auto' || mode === 'replace-where'
  const hasBegun = [offsets.intent, ...offsets.unsettled].some((intent) => intent?.mode === 'copy-into')
  if (!hasBegun || !mayBeginOther) return recorded
  const committer = await openedIn(context, workspace, 'copy-into', { offsets: recorded })
  // Another mode would read their ranges again.
  for (const error of committer.heldBlobs.values()) throw error
  return committer.landed()
}

/** The state of earlier runs, from the offset file or from the offsets table. */
interface EarlierState {
  readonly offsets: LandedOffsets | undefined
  /** The table that the offsets table belongs to, where the offset file says nothing. */
  readonly pinned?: PinnedTable | undefined
}

async function openedIn(
  context: OpenSink<DatabricksOptions>,
  workspace: Workspace,
  mode: LedgerMode,
  earlier: EarlierState,
): Promise<DatabricksCommitter> {
  const { offsets: recorded } = earlier
  const { target, offsets, clock, logger } = context
  const { sink, table } = target
  const committer = new DatabricksCommitter({
    location: `${sink.host}/${Object.values(table.name).join('.')}`,
    loader: loaderOf(context, workspace, mode, earlier),
    ledger: offsets,
    offsets: recorded ?? new LandedOffsets(),
    recoversOffsets: recorded === undefined,
    landsBlob: target.landsBlob,
    onOffsetsRecovered: (count) =>
      logger.warn(
        { count },
        'there is no usable offset file: offsets were computed from the rows of the table',
      ),
    onSettled: (intent, landed) =>
      logger.info(
        { batch: intent.id, landed, files: intent.files.length, blobCount: intent.spans.length },
        settled(intent, landed),
      ),
    onUnsettled: (intent, error) =>
      logger.error(
        { err: error, batch: intent.id, blobCount: intent.spans.length },
        'a load of an earlier run is unclear: its blobs are not read until tailrace intent discard',
      ),
    mode: mode === 'merge' || mode === 'zerobus' ? undefined : mode,
    clock,
    close: () => workspace.close(),
  })
  await committer.open()
  return committer
}

function settled({ mode, replaces }: LoadIntent, landed: boolean): string {
  if (mode === 'replace-where')
    return 'a batch of an earlier run may be landed: it is read again, and lands once'
  if (replaces !== undefined) {
    return landed ? 'an earlier replay is loaded' : 'an earlier replay changed nothing: repeat it'
  }
  return landed
    ? 'a batch of an earlier run is loaded'
    : 'a batch of an earlier run was not loaded: it is read again'
}

function loaderOf(
  context: OpenSink<DatabricksOptions>,
  workspace: Workspace,
  mode: LedgerMode,
  earlier: EarlierState,
): RowLoader {
  const { target, engine } = context
  const { warehouse, staging } = workspace
  const hasLanded = hasLandedIn(offsetsTableOf(context, workspace), earlier.offsets)
  const open = { target, stagingFolder: staging?.folder, hasLanded }
  if (mode === 'stage-only') {
    const folder = requireStaging(staging, mode)
    // Databricks loads the files, at a time that nobody says.
    const ingested =
      warehouse &&
      ((names: readonly string[]) => ingestedFiles(warehouse, target.table.name, folder.folder, names))
    return volumeLoader(context, folder, undefined, ingested)
  }
  const { table: declaration } = target
  if (mode === 'zerobus') return zerobusLoader(context, workspace, hasLanded)
  if (warehouse === undefined) throw new TailraceError('CONFIG_INVALID', 'sink.httpPath is missing.')
  const rows = new RangeRows(warehouse, declaration.name)
  const opened = async (): Promise<TableFacts> => {
    await openTable({ warehouse, ...open })
    const facts = await readTableFacts(warehouse, declaration.name)
    await watchTable(context, warehouse, facts, earlier.pinned)
    return facts
  }
  if (mode === 'merge') {
    const ensureTable = async (): Promise<void> => requireVisibleRows(await opened(), target)
    return new MergeLoader({
      warehouse,
      declaration,
      engine,
      rows,
      ensureTable,
      outwaitLoads: () => outwaitEarlierLoads(context, workspace),
      nowMs: () => context.clock.now(),
    })
  }
  const folder = requireStaging(staging, mode)
  if (mode === 'replace-where') {
    const files = new BatchFiles(folder, context.clock)
    const ensureTable = async (): Promise<readonly string[]> => {
      requireVisibleRows(await opened(), target)
      return liveColumnNames(warehouse, declaration.name)
    }
    const stagedFiles = stagedFilesOf(context, folder, () => files.held)
    const unitFiles = unitFilesOf(context, folder)
    return new ReplaceWhereLoader({
      warehouse,
      declaration,
      rows,
      files,
      stagedFiles,
      unitFiles,
      markOf: (source) => context.offsets.markOf(source),
      ensureTable,
      outwaitLoads: () => outwaitLoads(context, workspace),
      nowMs: () => context.clock.now(),
    })
  }
  return volumeLoader(context, folder, copyLoad(context, warehouse, folder, rows, opened))
}

/** Waits until no COPY INTO of an earlier process can still run, as far as the files in the volume show it. */
async function outwaitLoads(
  context: OpenSink<DatabricksOptions>,
  { volume }: Pick<Workspace, 'volume'>,
): Promise<void> {
  if (volume === undefined) return
  const staged = stagedFilesOf(context, volume, () => [])
  await outwaitOrphans(orphansOf(context), await staged.newestMs({ ofLoads: true }), context.clock)
}

/** The same, for a mode that needs no right on the volume and may have none: then no load of its own was in it. */
async function outwaitEarlierLoads(
  context: OpenSink<DatabricksOptions>,
  workspace: Pick<Workspace, 'volume'>,
): Promise<void> {
  try {
    await outwaitLoads(context, workspace)
  } catch (error) {
    if (!isTailraceError(error, 'WAREHOUSE_DENIED')) throw error
    context.logger.warn(
      { err: error },
      'the volume cannot be read: loads of an earlier mode are not waited for',
    )
  }
}

function zerobusLoader(
  context: OpenSink<DatabricksOptions>,
  { warehouse, zerobus }: Workspace,
  hasLanded: () => Promise<boolean>,
): ZerobusLoader {
  const { target, storedOffsets, engine, logger } = context
  const { sink, table: declaration } = target
  if (zerobus === undefined) throw new TailraceError('CONFIG_INVALID', 'sink.zerobus is missing.')
  const ensureTable = async (): Promise<void> => {
    if (warehouse === undefined) return zerobus.requireToken()
    await openTable({ warehouse, target, stagingFolder: undefined, hasLanded })
    const facts = await readTableFacts(warehouse, declaration.name)
    requireNoCatalogCommits(facts, target)
    await watchTable(context, warehouse, facts)
    await ensureRowsOnce(warehouse, { table: declaration.name, mayCreate: sink.createTable }, logger)
    if (
      storedOffsets === undefined &&
      !(await readTableHistory(warehouse, declaration.name, undefined)).isUntouched
    )
      logger.warn(
        {},
        'there is no offset file, and the table was written to: everything is sent again, which the view shows once, except for documents that have grown since they were landed; tailrace verify finds these',
      )
  }
  return new ZerobusLoader({ client: zerobus, declaration, engine, ensureTable })
}

function volumeLoader(
  context: OpenSink<DatabricksOptions>,
  staging: VolumeStaging,
  table: TableLoad | undefined,
  ingested?: StagedFilesOptions['ingested'],
): VolumeLoader {
  const { offsets, clock } = context
  const stagedFiles = stagedFilesOf(context, staging, () => intendedFiles(offsets), ingested)
  return new VolumeLoader({ staging, stagedFiles, table, clock })
}

function copyLoad(
  context: OpenSink<DatabricksOptions>,
  warehouse: StreamingWarehouse,
  staging: VolumeStaging,
  rows: RangeRows,
  opened: () => Promise<TableFacts>,
): TableLoad {
  const { target, signal, clock, logger } = context
  let facts: TableFacts | undefined
  return {
    rows,
    unitFiles: unitFilesOf(context, staging),
    sentMarks: new SentMarks({ staging, directory: context.stagingDirectory, nowMs: () => clock.now() }),
    ensureTable: async () => {
      facts = await opened()
      const restriction = restrictionOf(facts)
      if (restriction !== undefined) {
        logger.warn(
          {},
          `the table ${restriction}: whether a batch is loaded rests on its list of loaded files alone`,
        )
      }
    },
    mayHideRows: () => facts !== undefined && restrictionOf(facts) !== undefined,
    isUntouched: async () => (await readTableHistory(warehouse, target.table.name, undefined)).isUntouched,
    orphans: orphansOf(context),
    copy: new CopyInto({
      warehouse,
      declaration: target.table,
      stagingFolder: staging.folder,
      retry: { clock, onRetry: retryLog(logger, 'loading failed'), signal },
    }),
    clearCache: async () => {
      // Not every warehouse knows the statement, and nothing depends on it.
      await warehouse
        .execute({ label: 'clear the cache', sql: 'CLEAR CACHE', repeatable: false })
        .catch((error: unknown) => logger.debug({ err: error }, 'the cache was not cleared'))
    },
  }
}
