import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { BlobReader } from '../sources/blob-reader.ts'
import { headBytes } from '../sources/fingerprint.ts'
import { framingOf } from '../sources/framing.ts'

/** A range of a blob. */
export interface Gap {
  readonly start: number
  readonly end: number
}

/** What lies in a range that has no rows. `gone`: the blob of that creation instant is not there any more. */
export type GapContent = 'blank' | 'lines' | 'gone'

/** Of a gap this much is read at a time. */
const readBytes = 4 * 1024 * 1024

/** Looks at a range of a blob: of gzip, at what its members hold. Zeros behind a member are padding. */
export async function contentOf(
  reader: BlobReader,
  name: string,
  createdAt: string,
  gap: Gap,
): Promise<GapContent> {
  const head = await reader.read(name, { offset: 0, maxBytes: headBytes })
  if (head.kind !== 'bytes' || head.createdAt !== createdAt) return 'gone'
  const isGzip = framingOf(head.bytes, head.blobType).kind === 'gzip'
  try {
    const bytes = bytesOf(reader, name, createdAt, gap)
    const isBlank = isGzip ? await isBlankGzip(bytes) : await areBlank(bytes)
    return isBlank ? 'blank' : 'lines'
  } catch (error) {
    if (error instanceof BlobGone) return 'gone'
    throw error
  }
}

class BlobGone extends Error {}

async function* bytesOf(
  reader: BlobReader,
  name: string,
  createdAt: string,
  { start, end }: Gap,
): AsyncGenerator<Buffer> {
  for (let offset = start; offset < end; ) {
    const read = await reader.read(name, { offset, maxBytes: Math.min(readBytes, end - offset) })
    if (read.kind !== 'bytes' || read.createdAt !== createdAt) throw new BlobGone()
    yield read.bytes
    offset += read.bytes.length
  }
}

async function areBlank(parts: AsyncIterable<Buffer>): Promise<boolean> {
  for await (const part of parts) if (!isBlank(part)) return false
  return true
}

/** Members that hold nothing but blank lines, with padding before, between or behind them. */
async function isBlankGzip(parts: AsyncIterable<Buffer>): Promise<boolean> {
  let isAllBlank = true
  let hasBegun = false
  const withoutPadding = async function* (): AsyncGenerator<Buffer> {
    for await (const part of parts) {
      const first = hasBegun ? 0 : part.findIndex((byte) => byte !== 0)
      if (first < 0) continue
      hasBegun = true
      yield part.subarray(first)
    }
  }
  try {
    await pipeline(Readable.from(withoutPadding()), createGunzip(), async (source: AsyncIterable<Buffer>) => {
      for await (const part of source) isAllBlank &&= isBlank(part)
    })
  } catch (error) {
    if (error instanceof BlobGone) throw error
    return !hasBegun
  }
  return isAllBlank
}

function isBlank(bytes: Buffer): boolean {
  return !/[^\s\ufeff]/.test(bytes.toString('utf8'))
}
