import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { SimulatedClock } from '../../../doubles/simulated-clock.ts'
import { unitsOf } from '../../../src/page/logs/counts/count-units.ts'
import { RecordCounts } from '../../../src/page/logs/counts/record-counts.ts'
import { silentLogger } from '../../../src/reporting/logger.ts'
import type { FileFacts, QuerySession } from '../../../src/sinks/query-session.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const hourMs = 3_600_000
const table = {
  id: 'primary',
  name: 'a.b.c',
  relation: 'logs',
  place: 'place',
  pipelines: ['primary'],
  pipelineOf: () => undefined,
}

const refused = async (): Promise<never> => assert.fail('only units are counted')

/** Gives no row for any files. */
const session: QuerySession = {
  run: async ({ only }) => ({ files: only!.files.length, readFiles: only!.files.length }),
  files: refused,
  writeParquet: refused,
  close: refused,
}

test('landings of an hour leave one file of counts behind, however often the page counts them', async (t) => {
  const directory = await temporaryDirectory(t)
  const clock = new SimulatedClock()
  const counts = new RecordCounts({ session, directory, clock, logger: silentLogger })
  const { signal } = new AbortController()
  const fromMs = Math.floor(clock.now() / hourMs) * hourMs
  const files: FileFacts[] = []
  const count = async (): Promise<number> => {
    const units = unitsOf({ ...table, files: [...files] })!
    return (await counts.counted(units, { replyMs: 1_000, signal })).counts.length
  }
  for (let landing = 0; landing < 50; landing += 1) {
    const bounds = { fromMs: fromMs + landing, toMs: fromMs + landing + 1 }
    files.push({ id: `file ${landing}`, bytes: 1, rows: 10, bounds, noneNull: true })
    assert.equal(await count(), 1)
  }
  assert.deepEqual(await readdir(directory), [])
  const laterClock = new SimulatedClock(clock.now() + 3 * hourMs)
  const later = new RecordCounts({ session, directory, clock: laterClock, logger: silentLogger })
  const units = unitsOf({ ...table, files })!
  await later.counted(units, { replyMs: 1_000, signal })
  assert.deepEqual(await readdir(directory), [`${units[0]!.key}.json.gz`])
})

test('files without bounds are divided by their rows, and one that lands later changes the last unit alone', () => {
  const files = Array.from({ length: 20_000 }, (_, index): FileFacts => {
    return { id: `file ${index}`, bytes: 1, rows: 30, bounds: undefined, noneNull: true }
  })
  const keysOf = (some: readonly FileFacts[]): readonly string[] =>
    unitsOf({ ...table, files: some })!.map(({ key }) => key)
  const keys = keysOf(files)
  assert.equal(keys.length, Math.ceil(20_000 / Math.ceil(20_000 / 30)))
  const later = keysOf([...files, { id: 'later', bytes: 1, rows: 30, bounds: undefined, noneNull: true }])
  assert.deepEqual(later.slice(0, -1), keys.slice(0, later.length - 1))
  assert.ok(later.length - keys.length <= 1)
})
