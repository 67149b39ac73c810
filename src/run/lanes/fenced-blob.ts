import { TailraceError } from '../../errors.ts'
import { growingPauseMs } from '../../retry.ts'
import type { BlobMemory } from './lane-runner.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

/** Pauses before a blob that another process lands is read again from the table's offset. */
const pauses = { minPauseMs: 5_000, maxPauseMs: 300_000 } as const

/** Fences this far apart are not in a row. */
const forgetMs = 2 * pauses.maxPauseMs

/** A blob that another process has landed a range of, which this one had read too. */
export interface BlobFence {
  readonly generation: string
  /** Up to here this process had read; what of it was not committed by then is dropped. */
  readonly readTo: number
  readonly failures: number
  readonly atMs: number
}

export function fencedError(blob: string): TailraceError {
  return new TailraceError('COMMIT_FENCED', `Another process lands ${blob} into the same table.`)
}

/** Forgets what a blob's lanes have read, so that its next one begins at the table's offset, and sets it aside. */
export function fence(memory: BlobMemory, generation: string, readTo: number, nowMs: number): SetAsideBlob {
  const last = memory.fence
  const isInRow = last !== undefined && nowMs - last.atMs < forgetMs
  const failures = isInRow ? last.failures + 1 : 1
  memory.fence = { generation, readTo, failures, atMs: nowMs }
  memory.seenBytes = 0
  delete memory.next
  const { code, message } = fencedError(memory.name)
  return {
    blob: memory.name,
    code,
    reason: message,
    failures,
    sinceMs: nowMs,
    untilMs: nowMs + growingPauseMs(failures, pauses),
  }
}
