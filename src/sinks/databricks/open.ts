import { TailraceError } from '../../errors.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import type { OpenedSink, OpenSink } from '../sink.ts'
import type { TableCommitter } from '../table-committer.ts'
import { openLedger } from './open-ledger.ts'
import { refuseNoTransactions, restrictionOf } from './open-table.ts'
import { openTransactions } from './open-transactions.ts'
import { openWorkspace, type Workspace } from './open-workspace.ts'
import { type DatabricksOptions, hasOffsetsInRows } from './options.ts'
import { TransactionCommitter } from './transactions/transaction-committer.ts'

/**
 * Opens a table of a Databricks workspace, and completes or discards the load of an earlier process.
 *
 * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, WAREHOUSE_DENIED, LOAD_UNCLEAR
 * @throws OFFSET_FILE_CORRUPT when the offsets cannot be computed from rows, as in modes stage-only and zerobus
 */
export async function openDatabricks(context: OpenSink<DatabricksOptions>): Promise<OpenedSink> {
  const { target, storedOffsets, signal, clock, logger } = context
  const { mode } = target.sink
  if (storedOffsets === 'corrupt' && !hasOffsetsInRows(target.sink)) {
    throw new TailraceError(
      'OFFSET_FILE_CORRUPT',
      `The offset file is the only record of landed ranges in mode ${mode}: restore it, or remove it to ${mode === 'zerobus' ? 'send everything again, which the view shows once, except for documents that have grown since they were landed' : 'stage everything again'}.`,
    )
  }
  const onRetry = retryLog(logger, 'the workspace failed')
  const workspace = await openWorkspace(target, { retry: { onRetry }, signal, clock, logger })
  try {
    const committer = await committerIn(context, workspace)
    return { committer, encodedFiles: 'whole', directories: [] }
  } catch (error) {
    await workspace.close()
    throw error
  }
}

/** Opens a table by the clients of a workspace, which the committer closes. */
export async function committerIn(
  context: OpenSink<DatabricksOptions>,
  workspace: Workspace,
): Promise<TableCommitter> {
  const { target, logger } = context
  const { mode } = target.sink
  if (mode !== 'auto' && mode !== 'transaction') return openLedger(context, workspace, mode)
  const opened = await openTransactions(context, workspace)
  if (opened instanceof TransactionCommitter) {
    logger.info({ mode: 'transaction' }, 'rows and offsets are landed in one transaction')
    return opened
  }
  if (mode === 'transaction') refuseNoTransactions(target, opened)
  // REPLACE WHERE would not remove rows that are hidden; COPY INTO counts on its list of loaded files.
  const restriction = restrictionOf(opened.facts)
  const instead = restriction === undefined ? 'replace-where' : 'copy-into'
  const because = `the table ${opened.because}`
  if (restriction === undefined) logger.info({ mode: instead, because }, 'the table takes no transactions')
  else {
    logger.warn(
      { mode: instead, because },
      'rows of the table may be hidden: offsets can only come from the offset file',
    )
  }
  return openLedger(context, workspace, instead)
}
