import assert from 'node:assert/strict'
import type { Chunk } from '../../src/records.ts'
import { AppendBlobTailer, type AppendBlobTailerOptions } from '../../src/sources/append-blob-tailer.ts'
import { VirtualClock } from '../streams/virtual-clock.ts'
import type { ScriptedReader } from './scripted-reader.ts'

/** A tailer of a scripted blob on a clock whose n-th pause runs the n-th step of the script, then stops it. */
export function tail(
  reader: ScriptedReader,
  script: readonly (() => void)[],
  options: Partial<AppendBlobTailerOptions> = {},
) {
  const clock = new VirtualClock((pause) => {
    const step = script[pause - 1]
    if (step) step()
    else if (pause >= script.length + 2) tailer.stop()
  })
  const tailer = new AppendBlobTailer({ reader, blobName: 'a.ndjson', clock, pollMs: 1000, ...options })
  return { tailer, clock }
}

/** All chunks; they have to touch, and to begin at `start`. */
export async function drain(tailer: AppendBlobTailer, start = 0): Promise<Buffer> {
  const parts: Buffer[] = []
  let next = start
  for await (const { span, bytes } of tailer as AsyncIterable<Chunk>) {
    assert.equal(span.start, next)
    assert.equal(span.end - span.start, bytes.length)
    assert.equal(span.blob, 'logs/a.ndjson')
    next = span.end
    parts.push(Buffer.from(bytes))
  }
  assert.equal(tailer.offset, next)
  return Buffer.concat(parts)
}

/** Asserts why a tailer ended. */
export const ended = (tailer: AppendBlobTailer, why: string): void => assert.equal(tailer.endedBy, why)
