/**
 * The types that flow and their arithmetic.
 *
 * Every value carries the bytes it came from. Offsets and lengths count raw bytes of one blob generation,
 * never characters of decoded text.
 */

/** One generation of one blob: a blob that is replaced, in whatever way, is another generation. */
export interface BlobGeneration {
  /** `<container>/<blob name>`: independent of the account and of the endpoint. */
  readonly blob: string
  /**
   * The blob's creation instant, as `20261124T084700Z`; with `.2`, `.3`… when the blob of that instant was overwritten
   * or cut short, which need not change the instant.
   */
  readonly generation: string
}

/** The facts by which a generation is recognized after a restart. Fingerprints have the form of `formatFingerprint`. */
export interface GenerationMark extends BlobGeneration {
  /** The creation instant seen last. It differs from the generation's when the same content was copied into a new blob. */
  readonly createdAt: string
  /** Fingerprint of the first bytes. */
  readonly head?: string | undefined
  /** Fingerprint of a few bytes near the offset at which the last read ended. */
  readonly tail?: string | undefined
  /** Only for a `records` document whose `tail` ends with its last element: bytes from there to the next unit. */
  readonly closing?: number | undefined
}

/** How to read on in a document that has landed and was then rewritten with more elements. */
export interface DocumentResume {
  /** The first byte to read. */
  readonly readFrom: number
  /** The last bytes before it, 64 at most. */
  readonly before: Buffer
  /** What lies before that byte: a whole number of documents, an array's opening bracket, or one of its elements. */
  readonly behind: 'documents' | 'bracket' | 'element'
  /** Elements that end here or before have landed. */
  readonly landedTo: number
}

/** A half-open range of raw bytes, `[start, end)`, of one blob generation. */
export interface Span extends BlobGeneration {
  readonly start: number
  readonly end: number
}

/** Bytes as they were fetched. Consecutive chunks of a blob touch. */
export interface Chunk {
  readonly span: Span
  /** `span.end - span.start` bytes. */
  readonly bytes: Buffer
}

/** One line, its newline included. */
export interface Line {
  /** Offset of the line's first byte in its blob generation. */
  readonly offset: number
  /** Raw bytes, the newline included. */
  readonly length: number
  /** The line without its newline, one character per byte (latin1). A line over the limit is cut short. */
  readonly latin1: string
}

/** The complete lines found in one chunk. Lines travel in blocks because a stream costs per object. */
export interface LineBlock {
  /** From the first line's first byte to the last line's newline. Consecutive blocks of a blob touch. */
  readonly span: Span
  readonly lines: readonly Line[]
  /** Whether every line is well-formed UTF-8. */
  readonly utf8: boolean
  /** Indexes of lines that were longer than the limit and whose text is only a prefix. */
  readonly tooLong: readonly number[]
  /** More of the same unit follows: see `EntryBlock.open`. */
  readonly open?: true
}

/** Why a line became a rejected row. The encoder adds `bad_value` and `unknown_shape` in strict tables. */
export type RejectReason = 'not_json' | 'not_object' | 'too_long' | 'transform_error' | 'not_encodable'

/** One row to be: the text of one record and its place, or a rejected line and its reason. */
export interface Entry {
  /** Offset of the record's first byte. */
  readonly offset: number
  /** Raw bytes that this record accounts for; together, a line's entries account for the whole line. */
  readonly length: number
  /** 0, unless one line held several records. */
  readonly index: number
  /** What becomes the column `raw`, as UTF-8 bytes, one character per byte (latin1). */
  readonly raw: string
  /** The JSON object to project when it is not `raw` itself, likewise as UTF-8 bytes. */
  readonly json?: string
  /** Whether `raw` is known to hold no object or array inside its own: most records, and the encoder's short way. */
  readonly flat?: boolean
  /** Present when the line becomes a rejected row. */
  readonly reject?: RejectReason
  /** A note for `parse_error`: the detail of a reject, or a flag on an otherwise normal row. One line of text. */
  readonly note?: string
}

/** What the lines of one block became. `span` also covers lines that became no entry (blank, dropped). */
export interface EntryBlock {
  readonly span: Span
  readonly entries: readonly Entry[]
  /**
   * More of the same unit follows. A unit (a gzip member, a `records` document) has no offset inside it that reading
   * could go on from, so all its rows land together: until its last block, its blocks have an empty span at its start,
   * and only behind `UnitCollector` do its entries have their final place.
   */
  readonly open?: true
  /** What earlier blocks of the same unit held does not count: the unit begins again with this block's entries. */
  readonly restart?: true
  /** The entries of a unit that is too large for memory; `entries` is then empty. */
  readonly stored?: StoredEntries
}

/** Entries that wait in a staging file. Whoever takes the block discards them when it has read them. */
export interface StoredEntries {
  readonly count: number
  /** In order, in slices that fit in memory. */
  read(): AsyncIterable<readonly Entry[]>
  /** Removes the file. */
  discard(): Promise<void>
}

/** A sealed spool file and the spans it accounts for: the unit that is encoded, committed, and repeated. */
export interface Batch {
  /** Unique; names the spool file and appears in logs. */
  readonly id: string
  readonly spoolPath: string
  /** At most one contiguous span per blob generation. An entry in the spool names its span by index. */
  readonly spans: readonly Span[]
  /** Entries in the spool, rejected ones included. */
  readonly rows: number
  /** Rejects known before the encoder reads the text. */
  readonly rejected: number
  /** Bytes of the spool file. */
  readonly spoolBytes: number
  /** Length of the spool's longest row in bytes: the encoder sizes its read buffer by it. */
  readonly longestRowBytes: number
  /** When the batch received its first block, in milliseconds since the epoch. */
  readonly openedAtMs: number
}

/** What happened to a batch once its rows and offsets are durable. */
export interface LandedBatch {
  readonly batch: Batch
  /** Rows committed. */
  readonly rows: number
  /** Rows with `parse_status = 'rejected'`. */
  readonly rejected: number
  /** Rows with `parse_status = 'partial'`. */
  readonly partial: number
  /** The table version that holds them, where the sink has one. */
  readonly tableVersion?: number
  /** Bytes of the data files written. */
  readonly fileBytes: number
  readonly encodeMs: number
  readonly commitMs: number
}

/** @returns the number of raw bytes in a span. */
export function spanBytes(span: Span): number {
  return span.end - span.start
}

/** Names a blob generation in offsets, logs and transaction ids: `<container>/<name>@<generation>`. */
export function generationKey(source: BlobGeneration): string {
  return `${source.blob}@${source.generation}`
}

/** Orders the generations of one blob by their age. */
export function compareGenerations(
  a: Pick<BlobGeneration, 'generation'>,
  b: Pick<BlobGeneration, 'generation'>,
): number {
  const [instantA, ordinalA] = generationParts(a.generation)
  const [instantB, ordinalB] = generationParts(b.generation)
  if (instantA !== instantB) return instantA < instantB ? -1 : 1
  return ordinalA - ordinalB
}

/** @returns a generation's creation instant, and which one of that instant it is, counted from 1. */
export function generationParts(generation: string): readonly [instant: string, ordinal: number] {
  const dot = generation.indexOf('.')
  return dot < 0 ? [generation, 1] : [generation.slice(0, dot), Number(generation.slice(dot + 1))]
}

/** @returns whether `next` continues `previous` without a gap or an overlap. */
export function touches(previous: Span, next: Span): boolean {
  return generationKey(previous) === generationKey(next) && previous.end === next.start
}

/** @returns text as UTF-8 bytes, one character per byte: the form in which text flows, so that lengths count bytes. */
export function bytesAsLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** @returns the text whose UTF-8 bytes a latin1 string holds; undecodable bytes become U+FFFD. */
export function latin1AsText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
