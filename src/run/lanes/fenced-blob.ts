import { TailraceError } from '../../errors.ts'
import { growingPauseMs } from '../../retry.ts'
import type { BlobMemory } from './blob-memory.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

/** Pauses before a blob that another process lands is read again from the table's offset. */
const pauses = { minPauseMs: 5_000, maxPauseMs: 300_000 } as const

/** Fences further apart than this do not count as in a row. */
const maxGapMs = 2 * pauses.maxPauseMs

export function fencedError(blob: string): TailraceError {
  return new TailraceError('COMMIT_FENCED', `Another process lands ${blob} into the same table.`)
}

/** Forgets how far a blob was read, so that its next lane begins at the table's offset, and sets it aside. */
export function fence(memory: BlobMemory, nowMs: number): SetAsideBlob {
  const { generation = '', offset: readTo = 0 } = memory.next ?? {}
  const last = memory.fence
  const isInRow = last !== undefined && nowMs - last.atMs < maxGapMs
  const failures = isInRow ? last.failures + 1 : 1
  memory.fence = { generation, readTo, failures, atMs: nowMs }
  memory.seenBytes = 0
  memory.next = undefined
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
