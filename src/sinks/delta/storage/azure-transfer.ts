import { createHash, randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { BlobRange, ContainerRequests } from '../../../azure/container-requests.ts'
import { TailraceError } from '../../../errors.ts'

/** Limits and helpers for uploads and downloads. */
export interface TransferContext {
  readonly requests: ContainerRequests
  /** Size of one request's body, which is held in memory. */
  readonly blockBytes: number
  /** One slot for each body that may be in memory. */
  readonly slots: Slots
  /** Repeats a request after transient failures and translates its errors. `what` names it in messages. */
  readonly retrying: <T>(what: string, request: () => Promise<T>) => Promise<T>
}

/**
 * Uploads a file: a small one in one request, a larger one in blocks that become visible together.
 *
 * @returns the number of bytes sent
 */
export async function uploadFile(file: FileHandle, name: string, context: TransferContext): Promise<number> {
  const { requests, blockBytes, slots, retrying } = context
  const { size } = await file.stat()
  const what = `uploading ${name}`
  if (size <= blockBytes) {
    const giveBack = await slots.take()
    try {
      const bytes = await readPart(file, 0, size)
      await retrying(what, () => requests.put(name, bytes))
    } finally {
      giveBack()
    }
    return size
  }

  const hash = createHash('md5')
  const upload = randomUUID()
  const blockIds: string[] = []
  const sending: Promise<void>[] = []
  const failures: unknown[] = []
  for (let from = 0; from < size && failures.length === 0; from += blockBytes) {
    const giveBack = await slots.take()
    try {
      const bytes = await readPart(file, from, Math.min(blockBytes, size - from))
      hash.update(bytes)
      // The service requires all block ids of a blob to have the same length.
      const id = Buffer.from(`${upload}-${String(blockIds.length).padStart(6, '0')}`).toString('base64')
      blockIds.push(id)
      sending.push(
        retrying(what, () => requests.stageBlock(name, id, bytes))
          .catch((error: unknown) => void failures.push(error))
          .finally(giveBack),
      )
    } catch (error) {
      failures.push(error)
      giveBack()
    }
  }
  await Promise.all(sending)
  if (failures.length > 0) throw failures[0]
  const md5 = hash.digest()
  await retrying(what, () => requests.commitBlocks(name, blockIds, md5))
  return size
}

/**
 * Reads a whole blob in ranges and verifies its checksum if it has one. A missing blob yields no range; an empty blob
 * yields one empty range.
 *
 * @throws TABLE_CORRUPT when the checksum does not match
 */
export async function* blobRanges(name: string, context: TransferContext): AsyncGenerator<BlobRange> {
  const { requests, blockBytes, slots, retrying } = context
  const hash = createHash('md5')
  let etag: string | undefined
  let offset = 0
  for (;;) {
    const giveBack = await slots.take()
    let range: BlobRange | undefined
    try {
      range = await retrying(`reading ${name}`, async () => {
        const part = await requests.range(name, offset, blockBytes, etag)
        if (part?.bytes.length === 0 && part.totalBytes > offset) throw emptyAnswer(name)
        return part
      })
    } catch (error) {
      const refused = error instanceof TailraceError && error.context.status === 412
      throw refused ? replaced(name) : error
    } finally {
      giveBack()
    }
    if (range === undefined) {
      if (offset > 0) throw replaced(name)
      return
    }
    etag = range.etag
    offset += range.bytes.length
    hash.update(range.bytes)
    yield range
    if (offset >= range.totalBytes) {
      if (range.md5 !== undefined && !hash.digest().equals(range.md5)) throw damaged(name)
      return
    }
  }
}

async function readPart(file: FileHandle, from: number, bytes: number): Promise<Buffer> {
  const part = Buffer.allocUnsafeSlow(bytes)
  let filled = 0
  while (filled < bytes) {
    const { bytesRead } = await file.read(part, filled, bytes - filled, from + filled)
    if (bytesRead === 0) throw new Error('The file became shorter during its upload.')
    filled += bytesRead
  }
  return part
}

/** Retryable, because the only file of a table that is ever replaced is `_last_checkpoint`. */
function replaced(name: string): TailraceError {
  return new TailraceError('TABLE_UNAVAILABLE', `${name} was replaced while it was read.`)
}

function emptyAnswer(name: string): TailraceError {
  return new TailraceError('TABLE_UNAVAILABLE', `Storage sent no bytes of ${name} before its end.`)
}

function damaged(name: string): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `Checksum mismatch of ${name}: its bytes are damaged.`)
}

/** A semaphore: limits concurrent work. Waiting callers get slots in the order of their calls. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  /** @param count slots that may be taken at the same time */
  constructor(count: number) {
    this.#free = count
  }

  /** Waits for a slot. @returns a function that gives it back; call it once */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return () => {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
