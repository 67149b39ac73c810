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

const line = Buffer.from(
  '{"timestamp":"2026-11-24 09:09:31.946 UTC","error_severity":"LOG","message":"a line"}\n',
)

/**
 * A container whose blobs grow as a clock goes on, answered at once: what they hold is worked out from the time, so
 * a day of writing costs nothing.
 */
export class VirtualContainer implements BlobReader {
  readonly container = 'logs'
  #clock: Clock
  #blobs: ReadonlyMap<string, GrowingBlob>
  #sorted: readonly GrowingBlob[]

  constructor(blobs: readonly GrowingBlob[], clock: Clock) {
    this.#clock = clock
    this.#blobs = new Map(blobs.map((blob) => [blob.name, blob]))
    this.#sorted = [...blobs].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** What each blob held at an instant, in bytes. */
  *bytesAt(nowMs: number): Generator<{ readonly name: string; readonly bytes: number }> {
    for (const blob of this.#sorted) yield { name: blob.name, bytes: linesOf(blob, nowMs) * line.length }
  }

  async read(name: string, { offset, maxBytes, ifNoneMatch }: ReadRequest): Promise<BlobRead> {
    const blob = this.#blobs.get(name)
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
    for (let index = this.#indexOf(prefix > marker ? prefix : marker); ; index += 1) {
      const blob = this.#sorted[index]
      if (blob === undefined || !blob.name.startsWith(prefix))
        return { blobs, folders: found, next: undefined }
      const lines = linesOf(blob, nowMs)
      if (lines === 0 || (marker !== '' && blob.name <= marker)) continue
      const cut = folders === true ? blob.name.indexOf('/', prefix.length) : -1
      if (cut >= 0) {
        const folder = blob.name.slice(0, cut + 1)
        found.push(folder)
        // On to the first name behind the folder.
        index = this.#indexOf(`${folder}\u{10FFFF}`) - 1
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
  #indexOf(name: string): number {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle] as GrowingBlob).name < name) low = middle + 1
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
