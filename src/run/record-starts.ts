import type { Clock } from '../clock.ts'
import { generationKey, type Span } from '../records.ts'
import type { Logger } from '../reporting/logger.ts'
import { retryLog } from '../reporting/retry-log.ts'
import { retry } from '../retry.ts'
import { CommitFencedError } from '../sinks/commit-fence.ts'
import type { SpaceGuard } from '../sinks/lakehouse-sink.ts'
import type { TableCommitter } from '../sinks/table-committer.ts'

const nothingEncoded = { files: [], rows: 0, rejected: 0, partial: 0 }

export interface RecordStartsContext {
  readonly committer: TableCommitter
  readonly diskSpace: SpaceGuard
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Commits the offsets at which a cold start begins, without a row. An offset that another process recorded first stays.
 *
 * @param starts empty spans
 */
export async function recordStarts(
  starts: readonly Span[],
  { committer, diskSpace, signal, clock, logger }: RecordStartsContext,
): Promise<void> {
  const onRetry = retryLog(logger, 'recording the start failed')
  for (let left = starts; left.length > 0; ) {
    const land = () => diskSpace.withSpace(() => committer.land(left, nothingEncoded), signal)
    try {
      await retry(land, { signal, clock, onRetry })
      return
    } catch (error) {
      if (!(error instanceof CommitFencedError)) throw error
      const recorded = new Set(error.fenced.map(({ span }) => generationKey(span)))
      left = left.filter((span) => !recorded.has(generationKey(span)))
    }
  }
}
