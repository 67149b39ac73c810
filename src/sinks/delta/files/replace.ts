import { rm } from 'node:fs/promises'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import type { Span } from '../../../records.ts'
import type { WrittenFile } from '../../encoding/engine.ts'
import type { CommitReceipt, EncodedBatch } from '../../table-committer.ts'
import { type DeltaAction, type DeltaCommit, type MetaDataAction, removalOf } from '../protocol/actions.ts'
import { checkRewritable } from '../protocol/features.ts'
import { retainedDays } from '../protocol/retention.ts'
import type { DeltaTable } from '../table.ts'
import {
  mayHoldRowsOf,
  type RewriteContext,
  type RewrittenFile,
  rewriteWithout,
  spanCondition,
} from './rewrite.ts'

/** Attempts to compute a replacement; each is invalidated by another commit that touches the same rows. */
const maxAttempts = 10

/** The result of a replacement. */
export type ReplaceReceipt = CommitReceipt & { readonly removedRows: number }

/**
 * Replaces the rows of a span by those of `encoded`, in one commit: files with such rows are removed, and their other
 * rows are added again in new files. Idempotent.
 *
 * @throws COMMIT_CONTENDED when other commits keep touching the same rows; nothing is visible then
 */
export async function replaceRange(
  table: DeltaTable,
  span: Span,
  encoded: readonly EncodedBatch[],
  context: RewriteContext & { readonly clock: Clock },
): Promise<ReplaceReceipt> {
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    await table.refreshWithFiles()
    checkRewritable(table.state.metaData)
    const rewrites: RewrittenFile[] = []
    try {
      await rewriteAll(table, span, rewrites, context)
      return await replaceFiles(table, span, rewrites, encoded, context.clock.now())
    } catch (error) {
      if (!(error instanceof RangeTouched)) throw error
    } finally {
      // After a commit the copies are in the table and this does nothing.
      await Promise.all(copiesOf(rewrites).map(({ path }) => rm(path, { force: true })))
    }
  }
  throw new TailraceError(
    'COMMIT_CONTENDED',
    `The rows were not replaced: other commits changed them during all ${maxAttempts} attempts.`,
    { context: { attempts: maxAttempts } },
  )
}

/** Another commit changed the rows that this replacement was computed from. Caught in this file. */
class RangeTouched extends Error {}

async function rewriteAll(
  table: DeltaTable,
  span: Span,
  rewrites: RewrittenFile[],
  context: RewriteContext,
): Promise<void> {
  for (const add of table.state.files?.values() ?? []) {
    if (!mayHoldRowsOf(span, add)) continue
    const rewrite = await rewriteWithout(span, add, context)
    if (rewrite !== undefined) rewrites.push(rewrite)
  }
}

async function replaceFiles(
  table: DeltaTable,
  span: Span,
  rewrites: readonly RewrittenFile[],
  encoded: readonly EncodedBatch[],
  nowMs: number,
): Promise<ReplaceReceipt> {
  const removedRows = rewrites.reduce((sum, rewrite) => sum + rewrite.removedRows, 0)
  const added = encoded.flatMap((batch) => batch.files)
  requireRetained(added, table.state.metaData)
  const schema = added.length > 0 ? table.planSchema() : undefined
  const files = table.place([...copiesOf(rewrites), ...added], schema?.metaData)
  if (rewrites.length === 0 && files.length === 0) return { tableVersion: table.state.version, removedRows }

  const inputs = new Set(rewrites.map(({ original }) => original.path))
  const tableVersion = await table.commit(files, {
    info: {
      operation: 'WRITE',
      operationParameters: { mode: 'Overwrite', predicate: JSON.stringify([spanCondition(span)]) },
      isBlindAppend: false,
      operationMetrics: {
        numRemovedFiles: String(rewrites.length),
        numAddedFiles: String(files.length),
        numDeletedRows: String(removedRows),
        numOutputRows: String(encoded.reduce((sum, { rows }) => sum + rows, 0)),
      },
    },
    actions: [
      ...(schema?.actions ?? []),
      ...rewrites.map(({ original }): DeltaAction => ({ remove: removalOf(original, nowMs, true) })),
      ...files.map(({ add }) => ({ add })),
    ],
    check: (winner) => {
      table.checkRules()
      const outdated = schema?.isOutdatedBy(table.state.metaData) === true
      if (outdated || touches(winner, span, inputs)) throw new RangeTouched()
    },
  })
  return { tableVersion, removedRows }
}

/** @throws REPLAY_OUT_OF_RANGE for rows of a day that was deleted on purpose */
function requireRetained(added: readonly WrittenFile[], metaData: MetaDataAction): void {
  const retained = retainedDays(metaData)
  if (retained === undefined) return
  const { column, firstDay } = retained
  const deleted = added
    .map(({ partition }) => partition.get(column) ?? '')
    .filter((day) => day !== '' && day < firstDay)
  if (deleted.length === 0) return
  throw new TailraceError(
    'REPLAY_OUT_OF_RANGE',
    `Nothing was replaced: the range has rows of ${[...new Set(deleted)].sort()[0]}, and the days before ${firstDay} were deleted by tailrace retain. Replay a range of later rows.`,
    { context: { firstDay } },
  )
}

function copiesOf(rewrites: readonly RewrittenFile[]): WrittenFile[] {
  return rewrites.flatMap(({ kept }) => kept ?? [])
}

function touches({ actions }: DeltaCommit, span: Span, inputs: ReadonlySet<string>): boolean {
  return actions.some(
    (action) =>
      ('remove' in action && inputs.has(action.remove.path)) ||
      ('add' in action && mayHoldRowsOf(span, action.add)),
  )
}
