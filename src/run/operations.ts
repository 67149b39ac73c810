import { type Clock, systemClock } from '../clock.ts'
import { choosePipeline } from '../config/choose-pipelines.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { type Logger, silentLogger } from '../reporting/logger.ts'
import { ContainerStorage } from './container-storage.ts'
import { readStatus, type StatusReport } from './inspection/status.ts'
import { type VerifyReport, verifyRows } from './inspection/verify.ts'
import { type ReplayReceipt, replay } from './replay.ts'

/** What the functions below take of their process. */
export interface OperationOptions {
  /** The name of one pipeline. Default: all. */
  readonly pipeline?: string | undefined
  /** Default: the machine's clock. */
  readonly clock?: Clock | undefined
  /** Default: no log. */
  readonly logger?: Logger | undefined
}

/**
 * Reads how far each blob has landed, as `tailrace status`. Nothing changes, so the pipelines may be running.
 *
 * @throws USAGE when there is no pipeline of that name
 */
export function statusOf(config: ResolvedConfig, options: OperationOptions = {}): Promise<StatusReport> {
  return readStatus(contextOf(config, options), options.pipeline)
}

/**
 * Proves that rows cover every committed byte, as `tailrace verify`. Nothing changes, so the pipelines may be running.
 *
 * @throws USAGE when there is no pipeline of that name
 */
export function verifyTables(config: ResolvedConfig, options: OperationOptions = {}): Promise<VerifyReport> {
  return verifyRows(contextOf(config, options), options.pipeline)
}

/** A range of a blob to land again. */
export interface ReplayRange {
  readonly pipeline: string
  /** A blob name, with or without its container. */
  readonly blob: string
  /** Offset of a line's first byte. */
  readonly from: number
  /** Offset of a line's first byte. Default: the landed offset of the blob. */
  readonly to?: number | undefined
}

/**
 * Lands a range again and, in the same commit, removes the rows that it had landed before, as `tailrace replay`.
 *
 * @throws USAGE, REPLAY_OUT_OF_RANGE, REPLAY_NOT_A_LINE_START, and SOURCE_UNAVAILABLE after a few attempts
 */
export async function replayRange(
  config: ResolvedConfig,
  range: ReplayRange,
  options: Omit<OperationOptions, 'pipeline'> = {},
): Promise<ReplayReceipt> {
  const { clock, logger } = contextOf(config, options)
  const { source } = choosePipeline(config, range.pipeline)
  const storage = new ContainerStorage(config.stateDirectory, false, clock, logger)
  try {
    const reader = await storage.reader(source)
    return await replay({ ...range, config, reader, clock, logger })
  } finally {
    await storage.stop()
  }
}

function contextOf(
  config: ResolvedConfig,
  { clock = systemClock, logger = silentLogger }: OperationOptions,
): { readonly config: ResolvedConfig; readonly clock: Clock; readonly logger: Logger } {
  return { config, clock, logger }
}
