import { isTailraceError, TailraceError } from '../../errors.ts'
import type { OpenSink } from '../sink.ts'
import { outwaitOrphans } from './loading/orphans.ts'
import { RangeRows } from './loading/range-rows.ts'
import { settledOffsets } from './open-ledger.ts'
import { requireStaging, stagedFilesOf, unitFilesOf } from './open-staging.ts'
import {
  hasLandedIn,
  type NoTransactions,
  obstacleOf,
  openTable,
  orphansOf,
  pinnedIn,
  recordedIn,
  watchTable,
} from './open-table.ts'
import type { Workspace } from './open-workspace.ts'
import type { DatabricksOptions } from './options.ts'
import { BatchFiles } from './staging/batch-files.ts'
import { readTableFacts } from './tables/table-facts.ts'
import { OffsetsDisagree, ownOffsets, startingOffsets } from './transactions/hand-over.ts'
import { OffsetsTable, TransactionsRefused } from './transactions/offsets-table.ts'
import { TransactionCommitter } from './transactions/transaction-committer.ts'
import { Turns } from './transactions/turns.ts'

/** By the offsets table: the pipelines of a process that share one land in turns, because they meet at each `landEvery`. */
const turnsOf = new Map<string, Turns>()

function turnsAt(offsetsTable: string): Turns {
  const turns = turnsOf.get(offsetsTable) ?? new Turns()
  turnsOf.set(offsetsTable, turns)
  return turns
}

/**
 * Opens a table for landing by transactions.
 *
 * @returns why that is not possible; then nothing but the table itself was created
 * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, WAREHOUSE_DENIED, LOAD_UNCLEAR
 */
export async function openTransactions(
  context: OpenSink<DatabricksOptions>,
  workspace: Workspace,
): Promise<TransactionCommitter | NoTransactions> {
  const { target, offsets, storedOffsets, clock, logger } = context
  const { sink, table: declaration } = target
  const { warehouse } = workspace
  if (warehouse === undefined) throw new TailraceError('CONFIG_INVALID', 'sink.httpPath is missing.')
  const staging = requireStaging(workspace.staging, sink.mode)
  const offsetsTable = new OffsetsTable(warehouse, declaration.name, target.name)
  await openTable({
    warehouse,
    target,
    stagingFolder: staging.folder,
    hasLanded: hasLandedIn(offsetsTable, recordedIn(storedOffsets)),
  })
  const facts = await readTableFacts(warehouse, declaration.name)
  const obstacle = obstacleOf(facts)
  if (obstacle !== undefined) return { because: obstacle, facts }
  // The offsets table may be all that is left of earlier runs.
  const stored = pinnedIn(storedOffsets) === undefined ? await offsetsTable.readIfThere() : undefined
  const pinned = await watchTable(context, warehouse, facts, stored?.pinned)
  const rows = new RangeRows(warehouse, declaration.name)
  const files = new BatchFiles(staging, clock)
  const stagedFiles = stagedFilesOf(context, staging, () => files.held)
  const committer = new TransactionCommitter({
    location: `${sink.host}/${Object.values(declaration.name).join('.')}`,
    warehouse,
    declaration,
    offsets: offsetsTable,
    turns: turnsAt(`${sink.host}/${Object.values(offsetsTable.name).join('.').toLowerCase()}`),
    rows,
    files,
    stagedFiles,
    unitFiles: unitFilesOf(context, staging),
    copiedOffsets: ownOffsets(recordedIn(storedOffsets) ?? [], target.landsBlob),
    earlierOffsets: async () => {
      const recorded = await settledOffsets(context, workspace, sink.mode)
      // A load of another mode that still runs would add rows that are read again.
      const stagedAtMs = recorded === undefined ? await stagedFiles.newestMs({ ofLoads: false }) : undefined
      await outwaitOrphans(orphansOf(context), stagedAtMs, clock)
      const byRows = (await rows.ends()).filter(({ blob }) => target.landsBlob(blob))
      const starting = startingOffsets(recorded, byRows)
      if (starting.length > 0) {
        logger.info({ count: starting.length }, 'the offsets move into the offsets table')
      }
      return starting
    },
    maxOrphanMs: orphansOf(context).maxMs,
    landsBlob: target.landsBlob,
    markOf: (source) => offsets.markOf(source),
    onMark: (mark) => {
      if (offsets.markOf(mark) === undefined) offsets.recordMark(mark)
    },
    clock,
    close: () => workspace.close(),
  })
  try {
    await offsetsTable.create()
    await committer.open()
    // Rows that a statement of mode replace-where adds late are replaced.
    if (offsets.intent?.mode === 'replace-where') await offsets.record(committer.landed(), undefined)
    await offsetsTable.pin(pinned)
    return committer
  } catch (error) {
    if (error instanceof TransactionsRefused) {
      return { because: 'has a warehouse without transactions', facts, cause: error.cause }
    }
    if (error instanceof OffsetsDisagree) return { because: disagreement(error), facts }
    if (sink.mode === 'auto' && isTailraceError(error) && isAboutCreation(error)) {
      return { because: `has no offsets table beside it (${error.message})`, facts, cause: error }
    }
    throw error
  }
}

function disagreement({ beyond }: OffsetsDisagree): string {
  const [first] = beyond
  return `has rows of ${beyond.length} blobs beyond the offset file, such as ${first?.blob} up to ${first?.offset}: start once in the mode that landed them`
}

/** Whether the offsets table could not be created. */
function isAboutCreation({ code, message }: TailraceError): boolean {
  return (
    (code === 'WAREHOUSE_DENIED' || code === 'STATEMENT_FAILED') &&
    message.includes('"create the offsets table"')
  )
}
