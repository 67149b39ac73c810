/** Memory is allocated in steps of this size, so that ranges of similar lengths can share it. */
const stepBytes = 64 * 1024

/** Free memory that is kept, in bytes: the ranges that one blob needs at a time. */
const maxKeptBytes = 8 * 1024 * 1024

/**
 * Memory for ranges on their way from storage to the splitter. It is used again: the garbage collector counts fresh memory
 * of this size as pressure and runs for it, and its pages are faulted in one by one.
 */
export class RangeMemory {
  #kept: Buffer[] = []
  #keptBytes = 0

  /**
   * @returns a buffer of at least this length, and a function that takes the buffer back; without that call, the garbage
   *   collector takes it
   */
  take(bytes: number): { readonly buffer: Buffer; readonly release?: (() => void) | undefined } {
    // A poll that finds a few bytes must not hold the memory of a range.
    if (bytes < stepBytes) return { buffer: Buffer.allocUnsafeSlow(bytes) }
    const index = this.#kept.findIndex(({ length }) => length >= bytes)
    const [kept] = index < 0 ? [] : this.#kept.splice(index, 1)
    this.#keptBytes -= kept?.length ?? 0
    const buffer = kept ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / stepBytes) * stepBytes)
    return { buffer, release: () => this.#keep(buffer) }
  }

  #keep(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > maxKeptBytes) return
    this.#kept.push(buffer)
    this.#keptBytes += buffer.length
  }
}
