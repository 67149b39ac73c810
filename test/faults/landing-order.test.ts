import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import type { Batch } from '../../src/records.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { LakehouseSink } from '../../src/sinks/lakehouse-sink.ts'
import { committerFixture, span } from '../sinks/databricks/committer-fixture.ts'
import { type FileCall, watchFileCalls } from '../support/faults/file-calls.ts'
import {
  landingWorld,
  landWorld,
  stateDirectoryOf,
  tableDirectoryOf,
} from '../support/faults/landing-world.ts'
import { watchStatements } from '../support/faults/statement-calls.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** The steps of a batch: none of a phase before all of the one above it. A batch may have several files. */
type Order = readonly (readonly string[])[]

/** The steps by which a table's offsets are mirrored, and the batch's staging file is removed last. */
const mirrored = [['sync offset file'], ['place offset file'], ['sync state folder'], ['remove spool']]

test('each batch is encoded, synced, committed, synced, mirrored, and only then removed from staging', async (t) => {
  const world = landingWorld(join(await temporaryDirectory(t), 'world'), 3)
  await mkdir(world.directory)
  const [table, state] = [tableDirectoryOf(world), stateDirectoryOf(world)]
  const steps: string[] = []
  const step = ({ name, path }: FileCall): string | undefined => {
    const inTable = path.startsWith(`${table}/`)
    const inLog = path.startsWith(`${table}/_delta_log`)
    switch (name) {
      case 'file.sync':
        if (path.endsWith('.parquet')) return 'sync data file'
        if (path === `${table}/_delta_log`) return 'sync log folder'
        if (inLog) return 'sync commit'
        if (inTable) return 'sync data folder'
        return stateStep(state, { name, path })
      case 'rename':
        return inTable && !inLog ? 'place data file' : stateStep(state, { name, path })
      case 'link':
        return isCommit(path) ? 'commit' : undefined
      default:
        return stateStep(state, { name, path })
    }
  }
  await watchFileCalls(t, { after: (call) => void steps.push(...[step(call) ?? []].flat()) })
  noteEncoding(t, steps)
  await landWorld(world, { logger: silentLogger })
  assertInOrder(steps, [
    ['encode'],
    ['sync data file', 'place data file', 'sync data folder'],
    ['sync commit'],
    ['commit'],
    ['sync log folder'],
    ...mirrored,
  ])
})

test('into a table in Azure, each upload is answered before the commit, and the commit before the mirror', async (t) => {
  const storage = await startStorage(t)
  const container = new URL(storage.container.url)
  const proxy = await faultyProxy(t, Number(container.port))
  const throughProxy = (text: string): string => text.replaceAll(`:${container.port}/`, `:${proxy.port}/`)
  const world = landingWorld(join(await temporaryDirectory(t), 'world'), 3)
  await mkdir(world.directory)
  const steps: string[] = []
  const met = new Set<string>()
  // Each request is made twice: a step that did not wait for the answer would come before the second one.
  proxy.plan(({ method, url }) => {
    const path = decodeURIComponent(url.split('?')[0]!)
    const name = path.endsWith('.parquet') ? 'upload' : isCommit(path) ? 'commit' : undefined
    if (method !== 'PUT' || name === undefined) return undefined
    steps.push(name)
    if (met.has(url)) return undefined
    met.add(url)
    return 'busy'
  })
  const state = stateDirectoryOf(world)
  await watchFileCalls(t, { after: (call) => void steps.push(...[stateStep(state, call) ?? []].flat()) })
  noteEncoding(t, steps)
  await landWorld(world, {
    logger: silentLogger,
    lakehouse: {
      root: `${throughProxy(storage.container.url)}/lake`,
      storage: { kind: 'connection-string', connectionString: throughProxy(storage.connectionString) },
    },
  })
  assertInOrder(steps, [['encode'], ['upload'], ['commit'], ...mirrored])
  assert.ok(steps.filter((step) => step === 'upload').length >= 4)
})

test('into Databricks, the intent is durable before the upload, and the offsets before the spool is removed', async (t) => {
  const fixture = await committerFixture(t)
  const steps: string[] = []
  const committer = await fixture.open('t', {
    step: async (name, call) => {
      const result = await call()
      if (name !== 'record') steps.push(name)
      return result
    },
  })
  const sink = new LakehouseSink({
    encoder: {
      encode: async ({ spans }) => {
        steps.push('encode')
        return fixture.encode(spans[0]!)
      },
    },
    committer,
    // The committer has recorded them.
    offsets: { mirror: async () => {} },
  })
  await watchFileCalls(t, {
    after: (call) => void steps.push(...[stateStep(dirname(fixture.offsetPath('t')), call) ?? []].flat()),
  })
  const directory = await temporaryDirectory(t)
  const batches = [span(0, 50), span(50, 100)].map((one): Batch => {
    const spoolPath = join(directory, `${one.start}.spool`)
    const spool = { spoolPath, spoolBytes: 0, longestRowBytes: 1, largestVectorBytes: 1 }
    return {
      ...spool,
      id: String(one.start),
      spans: [one],
      rows: 5,
      rejected: 0,
      openedAtMs: 0,
      sealedAtMs: 0,
    }
  })
  await pipeline(Readable.from(batches), sink)
  const recorded = ['sync offset file', 'place offset file', 'sync state folder']
  // The rows that the ranges have already, and then the files as they are there, are recorded with the intent. After the load
  // the rows are counted again, because another process may have loaded the same ranges.
  const count = 'count the rows of ranges'
  const landing = [count, ...recorded, 'put', ...recorded, 'load files', count, ...recorded]
  const batch = ['encode', ...landing, 'remove spool']
  assert.deepEqual(steps.slice(steps.indexOf('encode')), [...batch, ...batch])
})

/** @returns the step of a call below the state directory, if it is one */
function stateStep(state: string, { name, path }: Pick<FileCall, 'name' | 'path'>): string | undefined {
  if (name === 'rm' && path.endsWith('.spool')) return 'remove spool'
  if (name === 'rename' && /^\w+\.offset\.json$/.test(relative(state, path))) return 'place offset file'
  if (name !== 'file.sync') return undefined
  if (path === state) return 'sync state folder'
  return /^\w+\.offset\.json\./.test(relative(state, path)) ? 'sync offset file' : undefined
}

function isCommit(path: string): boolean {
  return /^\d{20}\.json$/.test(basename(path))
}

function noteEncoding(t: TestContext, steps: string[]): void {
  watchStatements(t, (sql) => {
    if (/^COPY/.test(sql) && sql.includes('.spool')) steps.push('encode')
  })
}

/** Asserts that at least two batches landed, each of which made every step, in order. */
function assertInOrder(steps: readonly string[], order: Order): void {
  const batches = steps
    .slice(steps.indexOf('encode'))
    .join()
    .split(/(?<=remove spool),/)
  assert.ok(batches.length >= 2, steps.join())
  for (const batch of batches) {
    const phases = batch.split(',').map((one) => order.findIndex((phase) => phase.includes(one)))
    assert.deepEqual(
      phases,
      phases.toSorted((left, right) => left - right),
      batch,
    )
    assert.deepEqual([...new Set(phases)], [...order.keys()], batch)
  }
}
