import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { LaneScheduler } from '../src/lane-scheduler.ts'
import { silentLogger } from '../src/logger.ts'
import type { EntryBlock, Span } from '../src/records.ts'
import { type ResolvedPipeline, resolveConfig } from '../src/resolve-config.ts'
import type { BlobReader, ListedPage, ListRequest } from '../src/sources/blob-reader.ts'
import type { ColdStart } from '../src/sources/blob-start.ts'
import { postgresLogs } from '../src/tables/postgres-logs.ts'

const createdAt = '20261124T084700Z'

/** Blobs in memory. Each read takes a moment, so that lanes and listings interleave. */
class MemoryReader implements BlobReader {
  readonly container = 'logs'
  readonly blobs = new Map<string, Buffer>()

  append(name: string, lines: number): void {
    const text = Array.from({ length: lines }, (_, index) => `{"line":${index}}\n`).join('')
    this.blobs.set(name, Buffer.concat([this.blobs.get(name) ?? Buffer.alloc(0), Buffer.from(text)]))
  }

  async read(
    ...[name, { offset, maxBytes }]: Parameters<BlobReader['read']>
  ): ReturnType<BlobReader['read']> {
    await delay(1)
    const blob = this.blobs.get(name)
    if (blob === undefined) return { kind: 'missing', what: 'blob' }
    if (offset >= blob.length) return { kind: 'nothing-there' }
    const bytes = Buffer.from(blob.subarray(offset, offset + maxBytes))
    return {
      kind: 'bytes',
      bytes,
      totalBytes: blob.length,
      etag: String(blob.length),
      createdAt,
      blobType: 'append',
    }
  }

  async listPage({ prefix }: ListRequest): Promise<ListedPage> {
    const blobs = [...this.blobs]
      .sort()
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, blob]) => ({
        name,
        bytes: blob.length,
        createdAt,
        modifiedAtMs: Number(name.replace(/\D/g, '')),
      }))
    return { blobs, folders: [], next: undefined }
  }
}

/** A scheduler over the reader's `p/`, and the spans its lanes hand on, by blob. */
function scheduleInto(reader: MemoryReader, options: { maxLanes: number; coldStart?: ColdStart }) {
  const { pipelines } = resolveConfig(
    {
      pipelines: {
        p: {
          source: {
            storage: { kind: 'embedded' },
            container: reader.container,
            blobs: 'p/',
            pollMs: 100,
            discoverMs: 100,
            rangeBytes: 64 * 1024,
            ...options,
          },
          table: postgresLogs('a.b.c'),
          sink: { kind: 'delta', root: '.' },
        },
      },
    },
    '/',
  )
  const spans = new Map<string, Span[]>()
  const scheduler = new LaneScheduler({
    pipelineName: 'p',
    config: pipelines.p as ResolvedPipeline,
    reader,
    follow: true,
    isFirstRun: true,
    committedOffset: () => undefined,
    recordStart: async () => {},
    inlet: () =>
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: ({ span }: EntryBlock, _encoding, done) => {
          spans.set(span.blob, [...(spans.get(span.blob) ?? []), span])
          setTimeout(done, 5)
        },
      }),
    clock: systemClock,
    logger: silentLogger,
  })
  return { scheduler, spans }
}

/** Waits until every blob is handed on to its end, in touching spans from `start` on. */
async function untilWhole(
  reader: MemoryReader,
  spans: ReadonlyMap<string, Span[]>,
  start = 0,
): Promise<void> {
  const end = (name: string): number => spans.get(`logs/${name}`)?.at(-1)?.end ?? 0
  for (let round = 0; round < 400; round += 1) {
    if ([...reader.blobs].every(([name, blob]) => end(name) === blob.length)) break
    await delay(50)
  }
  for (const [name, blob] of reader.blobs) {
    let next = start
    for (const span of spans.get(`logs/${name}`) ?? []) {
      assert.equal(span.start, next, name)
      next = span.end
    }
    assert.equal(next, blob.length, `${name} was not read to its end`)
  }
}

test('more growing blobs than lanes are all read to their ends, once', { timeout: 60_000 }, async () => {
  for (const maxLanes of [1, 2, 3]) {
    const reader = new MemoryReader()
    for (let blob = 1; blob <= 7; blob += 1) reader.append(`p/${blob}`, 60_000)
    const { scheduler, spans } = scheduleInto(reader, { maxLanes })
    const running = scheduler.run()
    await delay(400)
    for (let blob = 1; blob <= 8; blob += 1) reader.append(`p/${blob}`, 500)
    await untilWhole(reader, spans)
    scheduler.stop()
    await running
  }
})

test('latest leaves out what was there at the first start and nothing that comes later', {
  timeout: 30_000,
}, async () => {
  const reader = new MemoryReader()
  reader.append('p/1', 1_000)
  const { scheduler, spans } = scheduleInto(reader, { maxLanes: 4, coldStart: 'latest' })
  const running = scheduler.run()
  await delay(300)
  assert.equal(spans.size, 0)
  reader.blobs.delete('p/1')
  reader.append('p/2', 1_000)
  await untilWhole(reader, spans)
  scheduler.stop()
  await running
})
