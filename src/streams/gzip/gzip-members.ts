import { TailraceError } from '../../errors.ts'
import { type BlobGeneration, byteOrderMark, type Chunk, type LineBlock, type Span } from '../../records.ts'
import { LineSplitter, type LineSplitterOptions, requireContinuation } from '../line-splitter.ts'
import { Expander } from '../records/expander.ts'
import { GzipMember } from './gzip-member.ts'

const newline = Buffer.from('\n')

export interface GzipMembersOptions extends Pick<LineSplitterOptions, 'maxLineBytes' | 'longLines'> {
  /**
   * Called once, for the first damaged member; the members before it still pass. Default: the stream is destroyed with
   * the error.
   */
  readonly onRefused?: ((error: TailraceError) => void) | undefined
}

/**
 * Decompresses the chunks of a blob of concatenated gzip members into blocks of lines.
 *
 * Reading cannot resume inside a member, so a member is a unit. Its blocks are open and have an empty span at the
 * member's first byte; only the last one spans the member's compressed bytes. A line's offset is the member's first byte,
 * and its length is that of the decompressed line, newline included.
 *
 * A line never spans members: the end of a member ends its last line, and a byte order mark at its beginning is dropped.
 * A member that is incomplete at the stream's end has no last block and is read again. Zero bytes after a member are
 * padding, and become a block without lines.
 */
export class GzipMembers extends Expander<Chunk, LineBlock> {
  #splitter: LineSplitter
  /** Decompressed bytes of all members so far: the offsets that the splitter works with. */
  #splitBytes = 0
  #previous: Span | undefined
  #nextOffset: number | undefined
  #member: GzipMember | undefined
  #atMemberStart = false

  constructor(options: GzipMembersOptions = {}) {
    super(options.onRefused)
    this.#splitter = new LineSplitter(options)
  }

  /** Offset of the first byte after the last complete member; `undefined` before the first chunk. */
  get nextOffset(): number | undefined {
    return this.#nextOffset
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#member?.close()
    this.#splitter.destroy()
    super._destroy(error, callback)
  }

  protected override async *outputsOf({ span, bytes }: Chunk): AsyncGenerator<LineBlock> {
    requireContinuation(this.#previous, span)
    this.#previous = span
    this.#nextOffset ??= span.start
    let rest = bytes
    while (rest.length > 0) {
      if (this.#member === undefined) {
        const padding = zerosIn(rest)
        if (padding > 0) yield this.#finished(span, undefined, this.#nextOffset + padding)
        rest = rest.subarray(padding)
        if (rest.length === 0) return
        this.#member = this.#begin(span, rest)
      }
      const member: GzipMember = this.#member
      const before = member.end
      for await (const output of member.take(rest)) {
        const found = await this.#lines(output, member)
        if (found !== undefined) yield { ...found, open: true }
      }
      rest = rest.subarray(member.end - before)
      if (!member.isComplete) return
      this.#member = undefined
      yield this.#finished(span, await this.#lastLine(member), member.end)
    }
  }

  #begin(source: BlobGeneration, bytes: Buffer): GzipMember {
    const start = this.#nextOffset as number
    if (bytes[0] !== 0x1f) {
      throw new TailraceError(
        'SOURCE_UNSUPPORTED',
        `${source.blob} has no gzip member at byte ${start}: append only gzip members to it, or exclude it.`,
        { context: { blob: source.blob, offset: start } },
      )
    }
    this.#atMemberStart = true
    return new GzipMember({ blob: source.blob, generation: source.generation }, start)
  }

  /** The member's last line, if no newline ends it. */
  async #lastLine(member: GzipMember): Promise<LineBlock | undefined> {
    if (this.#splitBytes === (this.#splitter.nextOffset ?? 0)) return undefined
    return this.#lines(newline, member)
  }

  /** The lines that end in these decompressed bytes, with the member's first byte as their offset. */
  async #lines(decompressed: Buffer, { start }: GzipMember): Promise<LineBlock | undefined> {
    const { blob, generation } = this.#previous as Span
    const bytes = withoutBlankLines(decompressed)
    const from = this.#splitBytes
    this.#splitBytes += bytes.length
    const chunk = { span: { blob, generation, start: from, end: this.#splitBytes }, bytes }
    const block = await this.#splitter.splitInTurn(chunk)
    if (block === undefined) return undefined
    const lines = block.lines.map((line) => ({ ...line, offset: start }))
    const [first] = lines
    if (this.#atMemberStart && first?.latin1.startsWith(byteOrderMark)) {
      lines[0] = { ...first, latin1: first.latin1.slice(byteOrderMark.length) }
    }
    this.#atMemberStart = false
    return { ...block, span: { blob, generation, start, end: start }, lines }
  }

  /** The last block of a member or of padding that ends at `end`. */
  #finished({ blob, generation }: BlobGeneration, last: LineBlock | undefined, end: number): LineBlock {
    const span = { blob, generation, start: this.#nextOffset as number, end }
    this.#nextOffset = end
    return { ...(last ?? { lines: [], utf8: true, tooLong: [] }), span }
  }
}

const manyNewlines = Buffer.alloc(1024, '\n')

/**
 * Reduces each run of newlines to one newline if some run is long. A member of 1 MiB can hold 1 GiB of newlines: a billion
 * lines and no row. All lines of a member have the same offset, so none of them moves.
 */
function withoutBlankLines(bytes: Buffer): Buffer {
  let from = bytes.indexOf(manyNewlines)
  if (from < 0) return bytes
  let kept = from
  for (; from < bytes.length; from += 1) {
    const byte = bytes[from] as number
    if (byte === newline[0] && kept > 0 && bytes[kept - 1] === newline[0]) continue
    bytes[kept] = byte
    kept += 1
  }
  return bytes.subarray(0, kept)
}

function zerosIn(bytes: Buffer): number {
  let count = 0
  while (bytes[count] === 0) count += 1
  return count
}
