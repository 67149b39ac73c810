/** A text that is added to piece by piece, of which only the beginning is kept; one character per byte (latin1). */
export class PrefixText {
  #maxBytes: number
  #text = ''
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** What is kept of it. */
  get text(): string {
    return this.#text
  }

  /** How long the whole text is. */
  get bytes(): number {
    return this.#bytes
  }

  add(piece: string): void {
    const room = this.#maxBytes - this.#text.length
    this.#bytes += piece.length
    if (room > 0) this.#text += piece.length > room ? piece.slice(0, room) : piece
  }

  /** From now on keeps no more than so many bytes. */
  shorten(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.#text = this.#text.slice(0, maxBytes)
  }
}
