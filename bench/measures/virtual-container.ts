import type { Clock } from '../../src/clock.ts'
import type {
  BlobRead,
  BlobReader,
  ListedBlob,
  ListedPage,
  ListRequest,
  ReadRequest,
} from '../../src/sources/blob-reader.ts'

/** A blob that a writer appends one line to, again and again. */
export interface GrowingBlob {
  readonly name: string
  /** When its first line is there, in milliseconds since the epoch; before that it does not exist. */
  readonly fromMs: number
  /** When its writer stops. */
  readonly untilMs: number
  /** Pause between two lines. */
  readonly everyMs: number
}

/** The blobs of a container by their index in name order: kept, or made when they are asked for. */
export interface GrowingBlobs {
  readonly count: number
  readonly blobAt: (index: number) => GrowingBlob
  readonly indexOf: (name: string) => number | undefined
}

const line = Buffer.from(
  '{"timestamp":"2026-11-24 09:09:31.946 UTC","error_severity":"LOG","message":"a line"}\n',
)

/** Blobs that are kept. */
export function keptBlobs(blobs: readonly GrowingBlob[]): GrowingBlobs {
  const sorted = [...blobs].sort((a, b) => (a.name < b.name ? -1 : 1))
  const indexes = new Map(sorted.map(({ name }, index) => [name, index]))
  return {
    count: sorted.length,
    blobAt: (index) => sorted[index] as GrowingBlob,
    indexOf: (name) => indexes.get(name),
  }
}

/**
 * A container whose blobs grow as a clock goes on, answered at once: what they hold is worked out from the time, so
 * a day of writing costs nothing.
 */
export class VirtualContainer implements BlobReader {
  readonly container = 'logs'
  #clock: Clock
  #blobs: GrowingBlobs

  constructor(blobs: GrowingBlobs, clock: Clock) {
    this.#clock = clock
    this.#blobs = blobs
  }

  /** What each blob held at an instant, in bytes. */
  *bytesAt(nowMs: number): Generator<{ readonly name: string; readonly bytes: number }> {
    for (let index = 0; index < this.#blobs.count; index += 1) {
      const blob = this.#blobs.blobAt(index)
      yield { name: blob.name, bytes: linesOf(blob, nowMs) * line.length }
    }
  }

  async read(name: string, { offset, maxBytes, ifNoneMatch }: ReadRequest): Promise<BlobRead> {
    const index = this.#blobs.indexOf(name)
    const blob = index === undefined ? undefined : this.#blobs.blobAt(index)
    const lines = blob === undefined ? 0 : linesOf(blob, this.#clock.now())
    if (blob === undefined || lines === 0) return { kind: 'missing', what: 'blob' }
    const totalBytes = lines * line.length
    const etag = `"${lines}"`
    if (ifNoneMatch === etag) return { kind: 'unchanged' }
    if (offset >= totalBytes) return { kind: 'nothing-there' }
    const bytes = Buffer.alloc(Math.min(maxBytes, totalBytes - offset))
    // From the line start before the offset, so that the pattern is in step.
    const inLine = offset % line.length
    const turned = Buffer.concat([line.subarray(inLine), line.subarray(0, inLine)])
    bytes.fill(turned)
    return { kind: 'bytes', bytes, totalBytes, etag, createdAt: instantOf(blob.fromMs), blobType: 'append' }
  }

  async listPage({ prefix, marker = '', folders, pageNames = 5_000 }: ListRequest): Promise<ListedPage> {
    const nowMs = this.#clock.now()
    const blobs: ListedBlob[] = []
    const found: string[] = []
    for (let index = this.#firstFrom(prefix > marker ? prefix : marker); ; index += 1) {
      const blob = index < this.#blobs.count ? this.#blobs.blobAt(index) : undefined
      if (blob === undefined || !blob.name.startsWith(prefix))
        return { blobs, folders: found, next: undefined }
      const lines = linesOf(blob, nowMs)
      if (lines === 0 || (marker !== '' && blob.name <= marker)) continue
      const cut = folders === true ? blob.name.indexOf('/', prefix.length) : -1
      if (cut >= 0) {
        const folder = blob.name.slice(0, cut + 1)
        found.push(folder)
        // On to the first name behind the folder.
        index = this.#firstFrom(`${folder}\u{10FFFF}`) - 1
      } else {
        blobs.push({
          name: blob.name,
          bytes: lines * line.length,
          createdAt: instantOf(blob.fromMs),
          modifiedAtMs: lines === 1 ? blob.fromMs : blob.fromMs + (lines - 1) * blob.everyMs,
        })
      }
      if (blobs.length === pageNames) return { blobs, folders: found, next: blob.name }
    }
  }

  /** The index of the first blob whose name is not before `name`. */
  #firstFrom(name: string): number {
    let [low, high] = [0, this.#blobs.count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#blobs.blobAt(middle).name < name) low = middle + 1
      else high = middle
    }
    return low
  }
}

function linesOf({ fromMs, untilMs, everyMs }: GrowingBlob, nowMs: number): number {
  return Math.max(0, Math.floor((Math.min(nowMs, untilMs) - fromMs) / everyMs) + 1)
}

/** To the second, as the service keeps it. */
function instantOf(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
}
