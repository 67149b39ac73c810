import type { Clock } from '../clock.ts'
import type { DeltaPipeline } from '../resolve-config.ts'
import type { DeltaStorage } from '../sinks/delta/delta-storage.ts'
import { openTableStorage } from '../table-storage.ts'

/** A command that only looks gives up in the end, unlike a run, which waits out any outage. */
export const lookingAttempts = 5

/** The storage of a pipeline's table for a command that only looks. */
export function lookingStorage(
  pipeline: DeltaPipeline,
  downloadDirectory: string,
  clock: Clock,
): DeltaStorage {
  return openTableStorage(pipeline, {
    downloadDirectory,
    clock,
    retry: { policy: { maxAttempts: lookingAttempts } },
  })
}
