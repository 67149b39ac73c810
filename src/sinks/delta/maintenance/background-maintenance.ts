import type { Clock } from '../../../clock.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { retryLog } from '../../../reporting/retry-log.ts'
import { type MaintenanceWorkspace, withMaintenanceWorkspace } from '../../encoding/engine-session.ts'
import type { UpkeepShare } from '../../sink.ts'
import type { DeltaTarget } from '../options.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { openTableStorage } from '../storage/open.ts'

/** One thread beside the encoder's two. A merge needs little memory, and spills to disk beyond it. */
const limits = { threads: 1, memoryMiB: 160 }

/** Options of maintenance that a running pipeline does beside its landings, as a separate writer would. */
export interface BackgroundMaintenanceOptions {
  readonly target: Pick<DeltaTarget, 'sink' | 'table' | 'sourceStorage'>
  /** The pipeline's staging directory. */
  readonly staging: string
  /** Default: no other process lands the pipeline. */
  readonly upkeepShare?: UpkeepShare | undefined
  /** Whether work must wait because disk space is short. */
  readonly isHeld: () => boolean
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Runs maintenance with its own engine, directory and requests to the table.
 *
 * @param request.during completes the log line "the table's storage failed …"
 * @param request.signal ends the repetition of failed requests
 */
export function maintainBeside<Result>(
  { target, staging, clock, logger }: BackgroundMaintenanceOptions,
  { during, signal }: { readonly during: string; readonly signal: AbortSignal },
  work: (workspace: MaintenanceWorkspace & { readonly storage: DeltaStorage }) => Promise<Result>,
): Promise<Result> {
  return withMaintenanceWorkspace(staging, limits, ({ engine, directory }) => {
    const retry = { signal, onRetry: retryLog(logger, `the table's storage failed ${during}`) }
    return work({
      engine,
      directory,
      storage: openTableStorage(target, { downloadDirectory: directory, clock, retry }),
    })
  })
}
