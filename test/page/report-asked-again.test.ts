import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Report } from '../../src/page/api-report.ts'
import { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import { landAll, lines, openBench } from '../commands/command-fixture.ts'
import { servePage } from './served-page.ts'

test('a report that is asked for again reads nothing until rows of its time have landed', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ main: {} })
  const land = async (from: number, count: number): Promise<void> => {
    await bench.storage.append('main', lines(from, count))
    await landAll(config)
  }
  await land(0, 20)
  const page = await servePage(t, config)
  const { fromMs, toMs } = await page.json<Report>('/api/report?section=audit')
  const statements = t.mock.method(EmbeddedEngine.prototype, 'stream')
  const read = async (query: string): Promise<{ readonly records: unknown; readonly statements: number }> => {
    const before = statements.mock.callCount()
    const { sections } = await page.json<Report>(`/api/report?section=overview&fromMs=${fromMs}${query}`)
    const records = sections[0]!.figures.find(({ id }) => id === 'lines')?.values[0]
    return { records, statements: statements.mock.callCount() - before }
  }
  const newest = async (): Promise<Report['toMs']> =>
    (await page.json<Report>('/api/report?section=audit')).toMs

  const first = await read(`&toMs=${toMs}`)
  assert.equal(first.records, 20)
  assert.ok(first.statements > 0)
  assert.deepEqual(await read(`&toMs=${toMs}`), { records: 20, statements: 0 })
  assert.equal((await read(`&toMs=${toMs}&compare=previous`)).records, 20)

  await land(1_000, 5)
  // The version that was read last is new enough for a moment.
  while ((await newest()) === toMs);
  assert.deepEqual(await read(`&toMs=${toMs}`), { records: 20, statements: 0 })
  assert.equal((await read(`&toMs=${await newest()}`)).records, 25)

  await land(10, 5)
  let again = await read(`&toMs=${toMs}`)
  while (again.statements === 0) again = await read(`&toMs=${toMs}`)
  assert.equal(again.records, 25)
})
