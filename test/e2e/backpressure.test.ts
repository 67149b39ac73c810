import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import test from 'node:test'
import { AppendBlobTailer } from '../../src/sources/append-blob-tailer.ts'
import type { BlobReader } from '../../src/sources/blob-reader.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { Batcher } from '../../src/streams/batcher.ts'
import { DiskGate } from '../../src/streams/disk-gate.ts'
import { LaneMerge } from '../../src/streams/lane-merge.ts'
import { LineSplitter } from '../../src/streams/line-splitter.ts'
import { RecordValidator } from '../../src/streams/record-validator.ts'
import { DiskSpaceMonitor } from '../../src/streams/staging/disk-space-monitor.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MiB = 1024 * 1024
const rangeBytes = MiB
const batchBytes = MiB
const blobMiB = 48

/** A reader that counts the bytes it returns, and tells when none were asked for during some turns. */
class CountingReader implements BlobReader {
  readonly container: string
  bytes = 0
  open = 0
  #reader: BlobReader

  constructor(reader: BlobReader) {
    this.#reader = reader
    this.container = reader.container
  }

  async read(...request: Parameters<BlobReader['read']>): ReturnType<BlobReader['read']> {
    this.open += 1
    try {
      const read = await this.#reader.read(...request)
      if (read.kind === 'bytes') this.bytes += read.bytes.length
      return read
    } finally {
      this.open -= 1
    }
  }

  listPage(...request: Parameters<BlobReader['listPage']>): ReturnType<BlobReader['listPage']> {
    return this.#reader.listPage(...request)
  }
}

test('a sink that stops taking batches stops the reading after a bounded number of bytes', async (t) => {
  const storage = await startStorage(t)
  const block = linesAsBytes(Array.from({ length: 12_000 }, (_, number) => jsonlogLine(number)))
  let blobBytes = 0
  for (; blobBytes < blobMiB * MiB; blobBytes += block.length) await storage.append('busy.json', block)

  const directory = await temporaryDirectory(t)
  const reader = new CountingReader(new AzureBlobReader(storage.container))
  const diskSpace = new DiskSpaceMonitor({ directories: [directory], minFreeBytes: 0 })
  const batchesTaken: unknown[] = []
  const stuck = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write: (batch) => void batchesTaken.push(batch),
  })
  const tailer = new AppendBlobTailer({ reader, blobName: 'busy.json', rangeBytes, follow: false })
  const batcher = new Batcher({ staging: new Staging(directory, 3_600_000), diskSpace, maxBytes: batchBytes })
  const aborting = new AbortController()
  const { signal } = aborting
  const lanes = new LaneMerge()
  const running = Promise.allSettled([
    pipeline([tailer, new LineSplitter(), new RecordValidator(), lanes.inlet()], { signal }),
    pipeline([lanes, new DiskGate(diskSpace), batcher, stuck], { signal }),
  ])
  t.after(async () => {
    aborting.abort()
    await running
  })

  // A stream reports no rest: it has come to one when it no longer moves. A machine that stands still is none, so what
  // has to be read for two batches must have been read before.
  const isFilled = (): boolean => batchesTaken.length > 0 && reader.bytes >= 2 * batchBytes
  for (let calm = 0, seen = -1; calm < 200; ) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    calm = isFilled() && reader.bytes === seen && reader.open === 0 ? calm + 1 : 0
    seen = reader.bytes
  }
  assert.equal(batchesTaken.length, 1)

  // Batches: the one the sink is stuck in, one sealed in the batcher's readable buffer, and one it may have begun;
  // each is at most a block larger than its limit. Before it, splitter, validator, merge and gate hold at most a chunk
  // on either side; the tailer holds a range handed on and one read ahead.
  const chunkBytes = MiB
  const batches = 3 * (batchBytes + chunkBytes)
  const stages = 4 * 2 * chunkBytes
  const bound = batches + stages + 2 * rangeBytes
  assert.ok(reader.bytes <= bound, `${reader.bytes} bytes were read, and the bound is ${bound}`)
  assert.ok(bound < blobBytes / 2)
})
