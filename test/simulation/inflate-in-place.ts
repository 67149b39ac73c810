import { Transform, type TransformCallback } from 'node:stream'
import zlib, { type InflateRaw } from 'node:zlib'

/** What `inflateRawSync` returns with `info`: the output, and the engine that knows how much input it took. */
export interface Inflated {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

/**
 * Node's raw inflater without its thread: all that has come so far is inflated anew with each piece, which small inputs
 * allow, and what is new of it is handed on.
 */
class InflateInPlace extends Transform {
  /** Bytes of the input that belong to the compressed data. */
  bytesWritten = 0
  #input = Buffer.alloc(0)
  #outputBytes = 0

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#input = Buffer.concat([this.#input, bytes])
    try {
      const options = { finishFlush: zlib.constants.Z_SYNC_FLUSH, info: true }
      const { buffer, engine } = zlib.inflateRawSync(this.#input, options) as unknown as Inflated
      if (buffer.length > this.#outputBytes) this.push(buffer.subarray(this.#outputBytes))
      this.#outputBytes = buffer.length
      this.bytesWritten = engine.bytesWritten
      // What is left over lies behind the end of the data.
      if (this.bytesWritten < this.#input.length) this.push(null)
      done()
    } catch (error) {
      done(error as Error)
    }
  }
}

export function inflateInPlace(): InflateRaw {
  return new InflateInPlace() as unknown as InflateRaw
}
