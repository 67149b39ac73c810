import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { query } from '../../src/commands/query.ts'
import { replayCommand } from '../../src/commands/replay.ts'
import { retain } from '../../src/commands/retain.ts'
import { verify } from '../../src/commands/verify.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import { commitPath, encodeActions, removalOf } from '../../src/sinks/delta/protocol/actions.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import { landAll, openBench, outputOf } from './command-fixture.ts'

const dayMs = 24 * 3_600_000

/** Lines of a day so long ago. */
function linesOf(daysAgo: number, count: number, from = 0): Buffer {
  const texts = Array.from({ length: count }, (_, index) => {
    const time = new Date(Date.now() - daysAgo * dayMs).toISOString().replace('T', ' ').replace('Z', ' UTC')
    return JSON.stringify({ timestamp: time, pid: 1, error_severity: 'LOG', message: `line ${from + index}` })
  })
  return Buffer.from(texts.map((text) => `${text}\n`).join(''))
}

async function messagesOf(config: ResolvedConfig): Promise<string[]> {
  const { text } = await outputOf(config, (context) =>
    query(context, 'select message from "primary" order by source_offset', { json: true }),
  )
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).message)
}

const deleting = { days: 90, allowEmpty: false, deletes: true, json: true }

test('old days are deleted, a run goes on behind them, verify explains them, and a replay of them is refused', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  const old = linesOf(100, 10)
  await bench.storage.append('primary', old)
  await bench.storage.append('primary', linesOf(1, 5, 10))
  await landAll(config)
  const dry = await outputOf(config, (context) =>
    retain(context, { ...deleting, deletes: false, json: false }),
  )
  assert.match(
    dry.text,
    /to delete.*would be kept.*counts as today, because no row is newer.*Nothing was deleted/s,
  )
  assert.equal((await messagesOf(config)).length, 15)

  const { text } = await outputOf(config, (context) => retain(context, deleting))
  const [report] = JSON.parse(text)
  assert.deepEqual([report.pipeline, report.days.length, report.deleted], ['primary', 1, true])
  assert.deepEqual(await messagesOf(config), ['line 10', 'line 11', 'line 12', 'line 13', 'line 14'])
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)

  // Nothing is landed again, and later lines are.
  await bench.storage.append('primary', linesOf(0, 1, 15))
  await landAll(config)
  assert.equal((await messagesOf(config)).length, 6)
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)

  const replayed = (from: number): Promise<unknown> =>
    outputOf(config, (context) => replayCommand(context, { pipeline: 'primary', blob: 'primary', from }))
  await assert.rejects(replayed(0), /deleted by tailrace retain/)
  await replayed(old.length)
  assert.equal((await messagesOf(config)).length, 6)
})

test('verify still finds what is missing of the days that are kept', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  for (const daysAgo of [100, 2, 1, 0]) {
    await bench.storage.append('primary', linesOf(daysAgo, 5))
    await landAll(config)
  }
  await outputOf(config, (context) => retain(context, deleting))
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)

  // Another program removes the file of yesterday.
  const storage = new LocalDeltaStorage(join(bench.directory, 'lakehouse', 'test', 'logs', 'primary'))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(bench.directory, 'spill') })
  t.after(() => engine.close())
  const { version, files } = (await loadState(storage, engine, { keepFiles: true }))!
  const yesterday = new Date(Date.now() - dayMs).toISOString().slice(0, 10)
  const lost = [...files!.values()].filter(({ partitionValues }) => partitionValues.event_date === yesterday)
  assert.equal(lost.length, 1)
  const actions = lost.map((file) => ({ remove: removalOf(file, Date.now(), true) }))
  await storage.putIfAbsent(commitPath(version + 1), encodeActions(actions))
  const { code, text } = await outputOf(config, (context) => verify(context, undefined, true))
  assert.equal(code, 1)
  assert.equal(JSON.parse(text).blobs[0].unexplainedBytes, linesOf(1, 5).length)
})
