import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Report } from '../../src/page/api-report.ts'
import { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import { landAll, lines, openBench } from '../commands/command-fixture.ts'
import { servePage } from './served-page.ts'

test('a report that is asked for again reads nothing until a newer version of a table has landed', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ main: {} })
  await bench.storage.append('main', lines(0, 20))
  await landAll(config)
  const page = await servePage(t, config)
  const statements = t.mock.method(EmbeddedEngine.prototype, 'stream')
  const records = async (query = ''): Promise<unknown> => {
    const { sections, servers } = await page.json<Report>(`/api/report?section=overview${query}`)
    assert.equal(servers.length, 1)
    return sections[0]!.figures.find(({ id }) => id === 'lines')?.values[0]
  }

  assert.equal(await records(), 20)
  const first = statements.mock.callCount()
  assert.equal(await records(), 20)
  assert.equal(statements.mock.callCount(), first)

  const { fromMs, toMs } = await page.json<Report>('/api/report?section=errors')
  const others = statements.mock.callCount()
  assert.ok(others > first)
  const half = Math.floor((fromMs + toMs) / 2)
  assert.ok(Number(await records(`&toMs=${half}`)) < 20)
  assert.ok(statements.mock.callCount() > others)

  await bench.storage.append('main', lines(20, 5))
  await landAll(config)
  // The version that was read last is new enough for a moment.
  while ((await records()) !== 25);
})
