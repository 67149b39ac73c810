import type { Clock } from '../../../clock.ts'
import type { AnnounceLoad } from './copy-into.ts'

/** Statements that go on in the warehouse without the process that sent them. */
export interface Orphans {
  /** The longest time from the announcement of a statement to its end, in milliseconds. */
  readonly maxMs: number
  /** Called before a wait for the end of such a statement. */
  readonly onWait: (ms: number) => void
  readonly signal?: AbortSignal | undefined
}

/**
 * A load is sent within this time after its file or its mark was put into the volume, in milliseconds, and a new mark is put
 * after half of it.
 */
export const maxUnsentMs = 600_000

/** Waits until no statement that was announced at an instant can still run. @param announcedAtMs undefined for none */
export async function outwaitOrphans(
  { maxMs, onWait, signal }: Orphans,
  announcedAtMs: number | undefined,
  clock: Clock,
): Promise<void> {
  if (announcedAtMs === undefined) return
  const leftMs = announcedAtMs + maxMs - clock.now()
  if (leftMs <= 0) return
  onWait(leftMs)
  await clock.sleep(leftMs, signal)
}

/**
 * Announces a load by its files while they are new, and by a mark when they are not: because they are those of an earlier
 * process, or because the warehouse could not be reached for long.
 *
 * @param putMark makes a mark durable
 * @param stagedAtMs since when the files are in the volume; undefined when they may be old
 */
export function announcing(
  putMark: (nowMs: number) => Promise<void>,
  stagedAtMs: number | undefined,
  clock: Clock,
): AnnounceLoad {
  let announcedAtMs = stagedAtMs
  return async () => {
    const nowMs = clock.now()
    if (announcedAtMs === undefined || nowMs - announcedAtMs > maxUnsentMs / 2) {
      await putMark(nowMs)
      announcedAtMs = nowMs
    }
    return announcedAtMs + maxUnsentMs
  }
}
