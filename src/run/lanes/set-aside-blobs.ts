import type { Clock } from '../../clock.ts'
import { isTailraceError, type TailraceError } from '../../errors.ts'
import type { Logger } from '../../reporting/logger.ts'
import { isPowerOfTwo } from '../../reporting/retry-log.ts'
import { growingPauseMs, type RetryEvent } from '../../retry.ts'
import type { BlobBoard, BoardBlob } from './blob-board.ts'
import { isSetAside } from './blob-state.ts'
import { fence } from './fenced-blob.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

/** Reads of a blob that may fail in a row, while those of others succeed, before it is set aside. */
const maxAttempts = 6

/** Pauses before a blob that is set aside is tried again. */
const pauses = {
  failing: { minPauseMs: 30_000, maxPauseMs: 3_600_000 },
  refused: { minPauseMs: 3_600_000, maxPauseMs: 24 * 3_600_000 },
} as const

export interface SetAsideBlobsOptions {
  readonly board: BlobBoard
  /** Called with the whole list whenever it changes. */
  readonly onChange: ((blobs: readonly SetAsideBlob[]) => void) | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** Why and until when the blobs of a board are set aside. */
export class SetAsideBlobs {
  #board: BlobBoard
  #onChange: SetAsideBlobsOptions['onChange']
  #clock: Clock
  #log: Logger
  #reported = '[]'

  constructor({ board, onChange, clock, logger }: SetAsideBlobsOptions) {
    this.#board = board
    this.#onChange = onChange
    this.#clock = clock
    this.#log = logger
  }

  get list(): readonly SetAsideBlob[] {
    return [...this.#board.blobs].flatMap(({ status, aside }) =>
      isSetAside(status.state) && aside !== undefined ? [aside] : [],
    )
  }

  /** Notes the failure of a blob that is now `failing` or `refused`. */
  noteFailure(blob: BoardBlob, error: TailraceError): void {
    const nowMs = this.#clock.now()
    const failures = (blob.aside?.failures ?? 0) + 1
    const pauseMs = growingPauseMs(failures, pauses[blob.status.state === 'failing' ? 'failing' : 'refused'])
    blob.aside = {
      blob: blob.name,
      code: error.code,
      reason: error.message,
      failures,
      sinceMs: blob.aside?.sinceMs ?? nowMs,
      untilMs: nowMs + pauseMs,
    }
    if (isPowerOfTwo(failures))
      this.#log.error({ err: error, blob: blob.name, failures, pauseMs }, 'a blob was set aside')
    this.#report()
  }

  /**
   * Notes that a blob is now `fenced`.
   *
   * @returns whether every blob of the board is
   */
  noteFence(blob: BoardBlob): boolean {
    blob.aside = fence(blob, this.#clock.now())
    const { failures, untilMs } = blob.aside
    const isLogged = isPowerOfTwo(failures)
    if (isLogged)
      this.#log.warn({ blob: blob.name, failures, untilMs }, 'another process lands a blob: set aside')
    this.#report()
    const isEveryBlob = [...this.#board.blobs].every(({ status }) => status.state === 'fenced')
    if (isEveryBlob && isLogged) this.#log.error('another process lands every blob of this pipeline')
    return isEveryBlob
  }

  /** Ends the count of failures in a row, once a blob was read again. */
  clear(blob: BoardBlob): void {
    if (blob.aside === undefined) return
    blob.aside = undefined
    this.#log.info({ blob: blob.name }, 'a blob that was set aside is read again')
    this.#report()
  }

  /**
   * Queues the blobs whose pause is over.
   *
   * @param isReady whether a blob may be read again already
   */
  retryDue(nowMs: number, isReady: (blob: BoardBlob) => boolean): void {
    for (const blob of this.#board.blobs) {
      if (!isSetAside(blob.status.state) || (blob.aside?.untilMs ?? 0) > nowMs) continue
      if (isReady(blob)) this.#board.apply(blob, 'retried')
    }
    this.#report()
  }

  #report(): void {
    const { list } = this
    const key = JSON.stringify(list)
    if (key === this.#reported) return
    this.#reported = key
    this.#onChange?.(list)
  }
}

/** Whether an error can be that of one blob, while its neighbors can be read. */
export function canBeOfOneBlob({ code }: TailraceError): boolean {
  return code === 'SOURCE_UNSUPPORTED' || code === 'SOURCE_UNAVAILABLE'
}

/** Whether a blob fails while others can be read: throttling and an outage are waited out. */
export function failsAlone(
  { error, attempt, failingSinceMs }: RetryEvent,
  succeededSince: (instantMs: number) => boolean,
): boolean {
  return attempt >= maxAttempts && !isThrottling(error) && succeededSince(failingSinceMs)
}

/** Throttling is the account's, whatever blob is read: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes */
function isThrottling(error: unknown): boolean {
  if (!isTailraceError(error)) return false
  const { status, retryAfterMs } = error.context
  return status === 429 || status === 503 || typeof retryAfterMs === 'number'
}
