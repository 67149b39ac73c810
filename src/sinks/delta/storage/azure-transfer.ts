import { createHash, randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { BlobRange, ContainerRequests } from '../../../azure/container-requests.ts'
import { TailraceError } from '../../../errors.ts'

/** How bodies travel. */
export interface TransferContext {
  readonly requests: ContainerRequests
  /** Bytes of one body, which is held in memory. */
  readonly blockBytes: number
  /** One for each body that may be in memory. */
  readonly slots: Slots
  /** Repeats a request until it is answered, and translates its errors. */
  readonly patiently: <T>(what: string, request: () => Promise<T>) => Promise<T>
}

/**
 * Uploads a file: a small one in one request, a larger one in blocks that become visible together.
 *
 * @returns how many bytes were sent
 */
export async function uploadFile(file: FileHandle, name: string, context: TransferContext): Promise<number> {
  const { requests, blockBytes, slots, patiently } = context
  const { size } = await file.stat()
  const what = `uploading ${name}`
  if (size <= blockBytes) {
    const giveBack = await slots.take()
    try {
      const bytes = await readPart(file, 0, size)
      await patiently(what, () => requests.put(name, bytes))
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
      // All ids of a blob must have the same length.
      const id = Buffer.from(`${upload}-${String(blockIds.length).padStart(6, '0')}`).toString('base64')
      blockIds.push(id)
      sending.push(
        patiently(what, () => requests.stageBlock(name, id, bytes))
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
  await patiently(what, () => requests.commitBlocks(name, blockIds, md5))
  return size
}

/**
 * Reads a blob from its start to its end, and compares it with its checksum where it has one. Nothing comes of a
 * blob that does not exist; an empty one is one empty range.
 *
 * @throws TABLE_CORRUPT when the checksum is another one
 */
export async function* blobRanges(name: string, context: TransferContext): AsyncGenerator<BlobRange> {
  const { requests, blockBytes, slots, patiently } = context
  const hash = createHash('md5')
  let etag: string | undefined
  let offset = 0
  for (;;) {
    const giveBack = await slots.take()
    let range: BlobRange | undefined
    try {
      range = await patiently(`reading ${name}`, async () => {
        const part = await requests.range(name, offset, blockBytes, etag)
        if (part?.bytes.length === 0 && part.totalBytes > offset) throw nothingCame(name)
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
    if (bytesRead === 0) throw new Error('The file became shorter while it was uploaded.')
    filled += bytesRead
  }
  return part
}

/** Files of a table are never replaced; only the hint at the newest checkpoint is. */
function replaced(name: string): TailraceError {
  return new TailraceError('TABLE_UNAVAILABLE', `${name} was replaced while it was read.`)
}

function nothingCame(name: string): TailraceError {
  return new TailraceError('TABLE_UNAVAILABLE', `An empty answer while reading ${name}.`)
}

function damaged(name: string): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `The bytes of ${name} are not those of its checksum.`)
}

/** Lets a few things be under way at the same time; who comes later waits, in order. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  /** @param count how many may be under way */
  constructor(count: number) {
    this.#free = count
  }

  /** Waits for a slot. @returns what gives it back; to be called once */
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
