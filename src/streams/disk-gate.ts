import { Transform, type TransformCallback } from 'node:stream'
import type { EntryBlock } from '../records.ts'
import type { DiskSpaceMonitor } from './staging/disk-space-monitor.ts'

/**
 * Passes blocks on while there is disk space, and holds the stream while there is not.
 *
 * Not calling `done` is the whole mechanism: the stages before it stop reading, and no data is dropped.
 */
export class DiskGate extends Transform {
  #monitor: DiskSpaceMonitor
  #destroying = new AbortController()

  constructor(monitor: DiskSpaceMonitor) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#monitor = monitor
  }

  override _transform(block: EntryBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#monitor.ensureSpace(this.#destroying.signal).then(() => done(null, block), done)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#destroying.abort(error ?? undefined)
    callback(error)
  }
}
