/**
 * Rows that the engine works on at a time. It holds each row's text about twenty times meanwhile, so their total size
 * bounds its memory.
 */
export const vectorRows = 2_048

/** The lengths of a spool's rows, added up while they are written, because to read the spool again would delay its encoding. */
export class RowLengths {
  #rows = 0
  #longest = 0
  #vectorBytes = 0
  #largestVector = 0

  get rows(): number {
    return this.#rows
  }

  /** Length of the longest row in bytes. */
  get longest(): number {
    return this.#longest
  }

  /** Most bytes of a vector: the first 2,048 rows are one, those after them the next. */
  get largestVector(): number {
    return Math.max(this.#largestVector, this.#vectorBytes)
  }

  /** @param bytes length of the next row, with its newline */
  add(bytes: number): void {
    this.#addToVector(1, bytes)
    this.#longest = Math.max(this.#longest, bytes)
  }

  /**
   * @param starts positions of the next rows, which follow each other
   * @param end position after the last one
   * @param longest length of the longest of them in bytes
   */
  addAll(starts: Uint32Array, end: number, longest: number): void {
    for (let from = 0; from < starts.length; ) {
      const to = Math.min(starts.length, from + vectorRows - (this.#rows % vectorRows))
      this.#addToVector(to - from, (starts[to] ?? end) - starts[from]!)
      from = to
    }
    this.#longest = Math.max(this.#longest, longest)
  }

  #addToVector(rows: number, bytes: number): void {
    this.#rows += rows
    this.#vectorBytes += bytes
    if (this.#rows % vectorRows > 0) return
    this.#largestVector = this.largestVector
    this.#vectorBytes = 0
  }
}
