import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { TailraceError } from '../../src/errors.ts'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import type { Batch, LandedBatch, Span } from '../../src/records.ts'
import { createLogger } from '../../src/reporting/logger.ts'
import { CommitFencedError, type FencedSpan } from '../../src/sinks/commit-fence.ts'
import { LakehouseSink, type LakehouseSinkOptions } from '../../src/sinks/lakehouse-sink.ts'
import type { EncodedBatch, TableCommitter } from '../../src/sinks/table-committer.ts'
import { systemError, watchFileCalls } from '../support/faults/file-calls.ts'
import { HastyClock } from '../support/hasty-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const [a, b] = ['logs/a.json', 'logs/b.json'].map((blob) => ({ blob, generation: '20260102T030405Z' }))

function span(start: number, end: number, source = a!): Span {
  return { ...source, start, end }
}

/** What may go wrong at a step, by its name; a step fails once for each error. */
type Failures = Partial<Record<'encode' | 'commit' | 'mirror', Error[]>>

/** A sink over ports that note what they are asked for, and whether the batch's files are there at that moment. */
async function bench(t: TestContext, failures: Failures = {}, options: Partial<LakehouseSinkOptions> = {}) {
  const directory = await temporaryDirectory(t)
  const landed = new LandedOffsets()
  const mirrored = new LandedOffsets()
  const steps: string[] = []
  const reports: LandedBatch[] = []
  let batches = 0
  const fail = (step: keyof Failures): void => {
    const error = failures[step]?.shift()
    if (error !== undefined) throw error
  }
  const filesThere = (): string =>
    [`${batches}.spool`, `encode-${batches}`].filter((name) => existsSync(join(directory, name))).join('+')
  /** Each step takes a moment, in which a step that was not waited for would come before it. */
  const step = async (name: keyof Failures, detail: string): Promise<void> => {
    await turn()
    steps.push(`${name} ${detail} with ${filesThere()}`)
    fail(name)
  }
  const committer: Pick<TableCommitter, 'landed' | 'land'> = {
    landed: () => landed,
    land: async (spans) => {
      await step('commit', spans.map(({ end }) => end).join())
      for (const { end, ...source } of spans) landed.set({ ...source, offset: end })
      return { tableVersion: 7 }
    },
  }
  const sink = new LakehouseSink({
    encoder: {
      encode: async (batch): Promise<EncodedBatch> => {
        await step('encode', `${batch.rows} rows`)
        const path = join(directory, `encode-${batches}`, 'part.parquet')
        await mkdir(dirname(path))
        await writeFile(path, 'rows')
        const file = { path, rows: batch.rows, bytes: 4, columns: new Map(), partition: new Map() }
        return { files: [file], rows: batch.rows, rejected: 0, partial: 0 }
      },
    },
    committer: committer as TableCommitter,
    offsets: {
      mirror: async (offsets) => {
        await step('mirror', [...offsets].map(({ offset }) => offset).join())
        for (const offset of offsets) mirrored.set(offset)
      },
    },
    onLanded: (batch) => {
      steps.push(`landed with ${filesThere()}`)
      reports.push(batch)
    },
    clock: new HastyClock(),
    ...options,
  })
  /** Writes a spool of two rows for each span. */
  const batchOf = async (...spans: readonly Span[]): Promise<Batch> => {
    batches += 1
    const spoolPath = join(directory, `${batches}.spool`)
    const rows = spans.flatMap((_span, index) => [0, 1].map((row) => `${index}\x1f${row}\x1f1\n`))
    await writeFile(spoolPath, rows.join(''))
    return {
      id: String(batches),
      spoolPath,
      spoolBytes: rows.join('').length,
      spans,
      rows: rows.length,
      rejected: 0,
      openedAtMs: 0,
      sealedAtMs: 0,
      longestRowBytes: 6,
      largestVectorBytes: 6,
    }
  }
  const land = async (...spans: readonly Span[]): Promise<void> =>
    pipeline(Readable.from([await batchOf(...spans)]), sink)
  return { directory, landed, mirrored, steps, reports, land, sink, batchOf }
}

test('a batch is encoded, committed and mirrored, each after the other, and its files are removed last', async (t) => {
  const { directory, steps, land } = await bench(t)
  await land(span(0, 20))
  assert.deepEqual(steps, [
    'encode 2 rows with 1.spool',
    'commit 20 with 1.spool+encode-1',
    'mirror 20 with 1.spool+encode-1',
    'landed with ',
  ])
  assert.deepEqual(await readdir(directory), [])
})

test('nothing of a batch is removed, reported or followed by the next one before its offsets are mirrored', async (t) => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let mirrors = 0
  const mirror = (): Promise<void> => {
    mirrors += 1
    return held
  }
  const { directory, reports, sink, batchOf } = await bench(t, {}, { offsets: { mirror } })
  const batches = [await batchOf(span(0, 20)), await batchOf(span(20, 30))]
  const landing = pipeline(Readable.from(batches), sink)
  // Many calls to the file system later, a removal that did not wait would have been made.
  for (let call = 0; call < 50 || mirrors === 0; call += 1) await readdir(directory)
  assert.deepEqual([mirrors, reports.length], [1, 0])
  assert.deepEqual((await readdir(directory)).sort(), ['1.spool', '2.spool', 'encode-2'])
  release()
  await landing
  assert.deepEqual([mirrors, reports.length], [2, 2])
})

test('a batch that begins behind the start of a blob without landed bytes is a gap, and nothing is encoded or committed', async (t) => {
  const { directory, steps, land } = await bench(t)
  await assert.rejects(land(span(0, 10, b), span(10, 20)), {
    code: 'SPAN_GAP',
    context: { expected: 0, found: 10 },
  })
  assert.deepEqual(steps, [])
  assert.deepEqual(await readdir(directory), [])
})

test('a batch that begins elsewhere than its blob is landed to is fenced before it is encoded', async (t) => {
  for (const start of [0, 40, 60]) {
    const { landed, steps, land } = await bench(t)
    landed.set({ ...a!, offset: 50 })
    await assert.rejects(land(span(start, 70)), { code: 'COMMIT_FENCED' })
    assert.deepEqual(steps, [])
  }
})

test('of a batch that another process has landed a part of, the other rows land, and the part is reported', async (t) => {
  const fenced: FencedSpan[] = []
  const { directory, landed, steps, reports, land } = await bench(
    t,
    {},
    { onFenced: (spans) => void fenced.push(...spans) },
  )
  landed.set({ ...a!, offset: 50 })
  await land(span(0, 20), span(0, 30, b))
  assert.deepEqual(fenced, [{ span: span(0, 20), landedTo: 50 }])
  assert.deepEqual(
    steps.filter((step) => !step.startsWith('landed')),
    ['encode 2 rows with 1.spool', 'commit 30 with 1.spool+encode-1', 'mirror 50,30 with 1.spool+encode-1'],
  )
  assert.deepEqual(reports[0]?.batch.spans, [span(0, 30, b)])
  assert.deepEqual(await readdir(directory), [])
})

test('the part that another process has landed is found by its blob, wherever it is in the batch', async (t) => {
  const { landed, reports, land } = await bench(t, {}, { onFenced: () => {} })
  landed.set({ ...b!, offset: 50 })
  await land(span(0, 20), span(0, 30, b))
  assert.deepEqual(reports[0]?.batch.spans, [span(0, 20)])
})

test('a batch without rows is not encoded, and its offsets are committed', async (t) => {
  const { directory, landed, steps, reports, sink, batchOf } = await bench(t)
  const batch = await batchOf(span(0, 20))
  await writeFile(batch.spoolPath, '')
  await pipeline(Readable.from([{ ...batch, rows: 0, spoolBytes: 0 }]), sink)
  assert.deepEqual(steps, ['commit 20 with 1.spool', 'mirror 20 with 1.spool', 'landed with '])
  assert.equal(landed.get(a!), 20)
  assert.deepEqual([reports[0]?.rows, reports[0]?.fileBytes], [0, 0])
  assert.deepEqual(await readdir(directory), [])
})

test('a landed batch is reported with the size of its files and the time of its steps', async (t) => {
  let nowMs = 0
  const clock = new HastyClock()
  clock.now = () => {
    nowMs = nowMs * 2 + 100
    return nowMs
  }
  const { reports, land } = await bench(t, {}, { clock })
  await land(span(0, 20))
  const { fileBytes, encodeMs, commitMs, tableVersion } = reports[0]!
  // The clock says 100, 300, 700 (to the retry of the commit) and 1500.
  assert.deepEqual(
    { fileBytes, encodeMs, commitMs, tableVersion },
    { fileBytes: 4, encodeMs: 200, commitMs: 1200, tableVersion: 7 },
  )
})

test('commits are repeated as often as the policy allows', async (t) => {
  const away = (): Error => new TailraceError('TABLE_UNAVAILABLE', 'away')
  const { steps, land } = await bench(t, { commit: [away(), away(), away()] }, { retry: { maxAttempts: 2 } })
  await assert.rejects(land(span(0, 20)), { code: 'TABLE_UNAVAILABLE' })
  assert.equal(steps.filter((step) => step.startsWith('commit')).length, 2)
})

test('a race that is lost at the commit is not lost for the rest of the batch', async (t) => {
  const lost = new CommitFencedError([{ span: span(0, 20), landedTo: 50 }])
  const { directory, steps, land } = await bench(t, { commit: [lost] }, { onFenced: () => {} })
  await land(span(0, 20), span(0, 30, b))
  assert.deepEqual(
    steps.map((step) => step.split(' with ')[0]),
    ['encode 4 rows', 'commit 20,30', 'encode 2 rows', 'commit 30', 'mirror 30', 'landed'],
  )
  assert.deepEqual(await readdir(directory), [])
})

test('a batch that another process has landed is dropped with its spool, and the stream continues', async (t) => {
  const { directory, landed, steps, sink, batchOf } = await bench(t, {}, { onFenced: () => {} })
  landed.set({ ...a!, offset: 50 })
  await pipeline(Readable.from([await batchOf(span(0, 20)), await batchOf(span(50, 60))]), sink)
  assert.deepEqual(
    steps.map((step) => step.split(' with ')[0]),
    ['encode 2 rows', 'commit 60', 'mirror 60', 'landed'],
  )
  assert.deepEqual(await readdir(directory), [])
})

test('a commit that may succeed later is repeated, and a batch is encoded once', async (t) => {
  const away = (): Error => new TailraceError('TABLE_UNAVAILABLE', 'away')
  const { steps, land } = await bench(t, { commit: [away(), away()] })
  await land(span(0, 20))
  assert.deepEqual(
    steps.map((step) => step.split(' ')[0]),
    ['encode', 'commit', 'commit', 'commit', 'mirror', 'landed'],
  )
})

test('a batch that fails for good leaves nothing in staging, and is not reported as landed', async (t) => {
  for (const failures of [
    { encode: [new TailraceError('ENCODE_FAILED', 'no')] },
    { commit: [new TailraceError('TABLE_DENIED', 'no')] },
  ]) {
    const { directory, mirrored, reports, land } = await bench(t, failures)
    await assert.rejects(land(span(0, 20)), { message: 'no' })
    assert.deepEqual([reports, [...mirrored]], [[], []])
    assert.deepEqual(await readdir(directory), [])
  }
})

test('an offset file that cannot be written holds no batch up, and is written with the next one', async (t) => {
  const refused = new TailraceError('DIRECTORY_UNUSABLE', 'no')
  const log: string[] = []
  const logger = createLogger({ level: 'warn', pretty: false, output: { write: (line) => log.push(line) } })
  const { landed, mirrored, reports, sink, batchOf } = await bench(t, { mirror: [refused] }, { logger })
  await pipeline(Readable.from([await batchOf(span(0, 20)), await batchOf(span(20, 30))]), sink)
  assert.equal(reports.length, 2)
  assert.equal(landed.get(a!), 30)
  assert.equal(mirrored.get(a!), 30)
  assert.equal(log.length, 1)
  assert.match(log[0]!, /DIRECTORY_UNUSABLE/)
})

test('staging files that cannot be removed do not end the stream', async (t) => {
  const { directory, reports, land } = await bench(t)
  const stop = await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'rm') throw systemError('EIO', call)
      return undefined
    },
  })
  await land(span(0, 20))
  stop()
  assert.equal(reports.length, 1)
  assert.deepEqual((await readdir(directory)).sort(), ['1.spool', 'encode-1'])
})

test('a sink that is destroyed ends when its last batch has ended, with nothing left in staging', async (t) => {
  const { directory, steps, sink, batchOf } = await bench(t)
  const batch = await batchOf(span(0, 20))
  sink.on('error', () => {})
  sink.write(batch)
  sink.destroy(new Error('stopped'))
  await new Promise((resolve) => sink.once('close', resolve))
  assert.equal(
    steps.some((step) => step.startsWith('mirror')),
    false,
  )
  assert.deepEqual(await readdir(directory), [])
})
