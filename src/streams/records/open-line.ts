import { collectGarbage, longRowBytes } from '../staging/collect-garbage.ts'

/** A file for the text of one open line. */
export interface LineFile {
  /** Adds to the end. */
  append(bytes: Buffer): Promise<void>
  /** Returns the whole content. */
  read(): Promise<Buffer>
  /** Removes the file. */
  discard(): Promise<void>
}

/** Ends a turn, so that another long line may come. Only the first call counts. */
export type EndTurn = () => void

/** What splitters share for long lines. */
export interface LongLineTurns {
  /**
   * Waits until no other long line is under way.
   *
   * @throws the signal's reason when it fires before
   */
  takeTurn(signal: AbortSignal): Promise<EndTurn>
  /** Runs a step that takes several times a line's memory, while no other step does so, here or in the encoder. */
  alone<T>(step: () => Promise<T>): Promise<T>
  /** @param signal ends the wait for disk space */
  createFile(signal: AbortSignal): Promise<LineFile>
}

/**
 * The text of a line whose newline has not been read, one character per byte (latin1).
 *
 * It is held in pieces, because each of many lanes can have an open line for hours. `store` moves them to a file.
 */
export class OpenLine {
  readonly #createFile: (() => Promise<LineFile>) | undefined
  #pieces: string[] = []
  #heldBytes = 0
  #file: LineFile | undefined
  #storedBytes = 0

  /** @param createFile default: all of the text is held */
  constructor(createFile: (() => Promise<LineFile>) | undefined) {
    this.#createFile = createFile
  }

  /** Bytes of the text, those in the file included. */
  get bytes(): number {
    return this.#storedBytes + this.#heldBytes
  }

  /** Adds to the end of the text. */
  hold(text: string): void {
    if (text === '') return
    this.#pieces.push(text)
    this.#heldBytes += text.length
  }

  /** Moves the text to the file, if it has more than `maxHeldBytes` in memory. */
  async store(maxHeldBytes: number): Promise<void> {
    if (this.#createFile === undefined || this.#heldBytes <= maxHeldBytes) return
    this.#file ??= await this.#createFile()
    const bytes = Buffer.from(this.#pieces.join(''), 'latin1')
    await this.#file.append(bytes)
    this.#storedBytes += bytes.length
    this.#pieces = []
    this.#heldBytes = 0
  }

  /** Moves the text back into memory, and removes the file. */
  async load(): Promise<void> {
    if (this.#file === undefined) return
    const bytes = await this.#file.read()
    this.#pieces.unshift(bytes.toString('latin1'))
    this.#heldBytes += bytes.length
    await this.discard()
  }

  /** Takes the whole text, which must be in memory; the next line is empty. */
  take(): string {
    const text = this.#pieces.join('')
    this.#pieces = []
    this.#heldBytes = 0
    // The pieces would stay in memory while the line is passed on.
    if (text.length > longRowBytes) collectGarbage()
    return text
  }

  /** Removes the file, and forgets the text in it. */
  async discard(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#storedBytes = 0
    await file?.discard()
  }
}
