/**
 * The types that flow through the stages, and their arithmetic.
 *
 * Every value carries the range of bytes that it came from. Offsets and lengths count raw bytes of one blob generation,
 * never characters of decoded text.
 */

/** One generation of one blob. A blob whose landed bytes are replaced, in any way, begins a new generation. */
export interface BlobGeneration {
  /** `<container>/<blob name>`, without the account: a blob keeps its offsets when its account's endpoint changes. */
  readonly blob: string
  /**
   * The blob's creation instant, as `20261124T084700Z`. A blob that was overwritten or truncated without a new creation
   * instant gets the suffix `.2`, `.3`….
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

/** Where to continue in a `records` document that has landed and was then rewritten with more elements. */
export interface DocumentResume {
  /** The first byte to read. */
  readonly readFrom: number
  /** The last bytes before it, 64 at most. */
  readonly before: Buffer
  /** What ends directly before that byte: complete documents, an array's opening bracket, or one of its elements. */
  readonly behind: 'documents' | 'bracket' | 'element'
  /** Elements that end at or before this offset have landed. */
  readonly landedTo: number
}

/** A half-open range of raw bytes, `[start, end)`, of one blob generation. */
export interface Span extends BlobGeneration {
  readonly start: number
  readonly end: number
}

/** Bytes as they were fetched. Consecutive chunks of a blob have touching spans. */
export interface Chunk {
  readonly span: Span
  /** `span.end - span.start` bytes. */
  readonly bytes: Buffer
  /** Ends the use of `bytes`: their memory gets other bytes. Without the call, the garbage collector takes it. */
  readonly release?: (() => void) | undefined
}

/** One line, its newline included. */
export interface Line {
  /** Offset of the line's first byte in its blob generation. */
  readonly offset: number
  /** Raw bytes, the newline included. */
  readonly length: number
  /** The line without its newline, one character per byte (latin1). A line over the limit is truncated. */
  readonly latin1: string
}

/** The lines completed by one chunk. Lines are passed on in blocks because a stream's cost is per object. */
export interface LineBlock {
  /** From the first line's first byte to the last line's newline. Consecutive blocks of a blob have touching spans. */
  readonly span: Span
  /** All lines in order, except those in `usual`. */
  readonly lines: readonly Line[]
  /** Lines that need no object of their own, already as rows. */
  readonly usual?: SpoolRows | undefined
  /** Whether every line is well-formed UTF-8. */
  readonly utf8: boolean
  /** Indexes of lines over the limit, whose text is truncated. */
  readonly tooLong: readonly number[]
  /** More blocks of the same unit follow: see `EntryBlock.open`. */
  readonly open?: true | undefined
  /** See `EntryBlock.release`. */
  readonly release?: (() => void) | undefined
}

/** Rows in the form of the spool, in memory that is used again. Nearly all lines take this form at once. */
export interface SpoolRows {
  /** Complete rows, one after the other. The index of their span is left to the batcher. */
  readonly bytes: Buffer
  /** The position of each row in `bytes`. */
  readonly starts: Uint32Array
  readonly longestRowBytes: number
  /** Ends the use of this object: its memory gets other rows. Without the call, the garbage collector takes it. */
  readonly release: () => void
}

/** Why a line became a rejected row. In a strict table the encoder adds `bad_value`, `unknown_shape` and `unknown_prefix`. */
export type RejectReason = 'not_json' | 'not_object' | 'too_long' | 'transform_error' | 'not_encodable'

/** The reasons with which the `parse_error` of a rejected row begins; `other` counts what begins otherwise. */
export const rejectedRowReasons = [
  'not_json',
  'not_object',
  'too_long',
  'transform_error',
  'bad_value',
  'unknown_shape',
  'unknown_prefix',
  'invalid_utf8',
  'not_encodable',
  'other',
] as const

/**
 * `flat`: no nested object or array. `written`: also exactly as its server writes it, by `Projection.writtenForm` of the
 * table.
 */
export type RecordForm = 'flat' | 'written'

/** A future row: the text of one record and its place, or a rejected line and its reason. */
export interface Entry {
  /** Offset of the record's first byte. */
  readonly offset: number
  /** The number of raw bytes assigned to this record. The entries of a line together cover the whole line. */
  readonly length: number
  /** 0, unless one line held several records. */
  readonly index: number
  /** The value of the column `raw`: UTF-8 bytes, one character per byte (latin1). */
  readonly raw: string
  /** The JSON object to project into columns, in the same form, when it differs from `raw`. */
  readonly json?: string | undefined
  /** The known form of the record in `raw`, with which it is encoded faster. Default: its form is not known. */
  readonly form?: RecordForm | undefined
  /** Present when the line becomes a rejected row. */
  readonly reject?: RejectReason | undefined
  /** The value of the column `parse_error`: the detail of a reject, or a remark on a normal row. One line of text. */
  readonly note?: string | undefined
}

/** The entries of one block of lines. `span` also covers lines without an entry (blank or dropped). */
export interface EntryBlock {
  readonly span: Span
  readonly entries: readonly Entry[]
  /** Entries that need no object of their own. Custom transforms get none. */
  readonly usual?: SpoolRows | undefined
  /**
   * More blocks of the same unit follow. A unit is a gzip member or a `records` document: reading cannot resume at an
   * offset inside it, so all its rows land in one commit. Every block of a unit but the last has an empty span at the
   * unit's first byte. `UnitCollector` gives the entries their final places.
   */
  readonly open?: true | undefined
  /** The entries of the unit's earlier blocks are void: the unit begins again with this block. */
  readonly restart?: true | undefined
  /** The entries of a unit that is too large for memory; `entries` is then empty. */
  readonly stored?: StoredEntries | undefined
  /** Present in a block with a long line: the stage that has taken its text calls it, and another long line may come. */
  readonly release?: (() => void) | undefined
}

/** Entries in a staging file. The stage that takes their block discards them after reading. */
export interface StoredEntries {
  readonly count: number
  /** Yields the entries in order, in slices that fit in memory. */
  read(): AsyncIterable<readonly Entry[]>
  /** Removes the file. */
  discard(): Promise<void>
}

/** A sealed spool file and the spans that it covers: the unit of encoding, of commits and of their retries. */
export interface Batch {
  /** A UUID: names the spool file, and identifies the batch in logs. */
  readonly id: string
  readonly spoolPath: string
  /** At most one contiguous span per blob generation. A row of the spool refers to its span by index. */
  readonly spans: readonly Span[]
  /** The number of entries in the spool, rejected ones included. */
  readonly rows: number
  /** The number of entries rejected before encoding; the encoder may reject more. */
  readonly rejected: number
  /** Size of the spool file. */
  readonly spoolBytes: number
  /** Length of the spool's longest row in bytes. The encoder sizes its read buffer by it. */
  readonly longestRowBytes: number
  /** Most bytes of 2,048 rows that follow each other, which the engine works on at a time. */
  readonly largestVectorBytes: number
  /** Arrival of the first block, in milliseconds since the epoch. */
  readonly openedAtMs: number
  /** When the last block was in the spool, in milliseconds since the epoch. */
  readonly sealedAtMs: number
}

/** An encoded batch before its commit. */
export interface PreparedBatch {
  /** With the ranges that are to be committed: those that another process has landed are left out. */
  readonly batch: Batch
  readonly rows: number
  readonly rejected: number
  readonly partial: number
  /** Total size of the data files, in bytes. */
  readonly fileBytes: number
  readonly encodeMs: number
}

/** The result of a batch whose rows and offsets are durable. */
export interface LandedBatch {
  readonly batch: Batch
  /** Rows committed. */
  readonly rows: number
  /** Rows with `parse_status = 'rejected'`. */
  readonly rejected: number
  /** The rejected rows by reason. */
  readonly rejectedBy?: Readonly<Record<string, number>> | undefined
  /** Rows with `parse_status = 'partial'`. */
  readonly partial: number
  /** The table version that first has the rows; undefined for a sink without versions. */
  readonly tableVersion?: number | undefined
  /** Total size of the data files written, in bytes. */
  readonly fileBytes: number
  /** When its encoding began, in milliseconds since the epoch. */
  readonly startedAtMs: number
  readonly encodeMs: number
  readonly commitMs: number
  /** Attempts to commit it that failed and were repeated; the first ones, if there were many. */
  readonly failedAttempts: readonly FailedAttempt[]
}

/** An attempt to commit a batch that failed. */
export interface FailedAttempt {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly error: unknown
}

/** A batch that could not be landed. Its bytes are read again. */
export interface FailedBatch {
  readonly batch: Batch
  /** Milliseconds since the epoch. */
  readonly failedAtMs: number
  readonly error: unknown
}

/** @returns the number of raw bytes in a span. */
export function spanBytes(span: Span): number {
  return span.end - span.start
}

/** @returns the key of a blob generation in offsets, logs and transaction ids: `<container>/<name>@<generation>` */
export function generationKey(source: BlobGeneration): string {
  return `${source.blob}@${source.generation}`
}

/** @returns a creation instant as it names a generation, without fractions of a second, which storage does not keep */
export function instantOf(createdOn: Date | undefined): string {
  if (createdOn === undefined) return 'unknown'
  return createdOn.toISOString().replace(/[-:]|\.\d+/g, '')
}

/** Orders the generations of one blob, oldest first. */
export function compareGenerations(
  a: Pick<BlobGeneration, 'generation'>,
  b: Pick<BlobGeneration, 'generation'>,
): number {
  const [instantA, ordinalA] = generationParts(a.generation)
  const [instantB, ordinalB] = generationParts(b.generation)
  if (instantA !== instantB) return instantA < instantB ? -1 : 1
  return ordinalA - ordinalB
}

/** @returns a generation's creation instant, and its number among the generations of that instant, counted from 1 */
export function generationParts(generation: string): readonly [instant: string, ordinal: number] {
  const dot = generation.indexOf('.')
  return dot < 0 ? [generation, 1] : [generation.slice(0, dot), Number(generation.slice(dot + 1))]
}

/**
 * @returns the creation instant that a generation's blob was last seen with. It differs from the one in the generation's
 * name only after the blob was copied, which only the mark shows.
 */
export function lastCreatedAt(
  { generation }: Pick<BlobGeneration, 'generation'>,
  mark: Pick<GenerationMark, 'createdAt'> | undefined,
): string {
  return mark?.createdAt ?? generationParts(generation)[0]
}

/** @returns whether `next` continues `previous` without a gap or an overlap. */
export function touches(previous: Span, next: Span): boolean {
  return generationKey(previous) === generationKey(next) && previous.end === next.start
}

/** The UTF-8 byte order mark, one character per byte (latin1). */
export const byteOrderMark = '\xef\xbb\xbf'

/** @returns text as UTF-8 bytes, one character per byte. Text flows in this form, so that lengths count bytes. */
export function bytesAsLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** @returns the text of UTF-8 bytes, one character per byte; undecodable bytes become U+FFFD. */
export function latin1AsText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
