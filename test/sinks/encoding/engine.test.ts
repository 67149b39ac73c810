import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { EmbeddedEngine } from '../../../src/sinks/encoding/engine.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** Takes minutes when nobody ends it. */
const longStatement = 'SELECT max(hash(a.range, b.range)) AS most FROM range(1000000) a, range(1000000) b'

async function openEngine(t: TestContext): Promise<EmbeddedEngine> {
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(await temporaryDirectory(t), 'spill') })
  t.after(() => engine.close())
  return engine
}

/** A statement goes to its thread after the call; when that begins with it is not known. */
const handedOver = () => new Promise((resolve) => setImmediate(resolve))

const aborted = { name: 'AbortError' }

test('closing ends the statements under way, begun or not, before the engine is given back', async (t) => {
  const engine = await openEngine(t)
  const beside = await engine.connect()
  const statements = [engine.rows(longStatement), engine.run('SELECT 1'), beside.rows(longStatement)]
  const ends = Promise.allSettled(statements)
  await handedOver()

  await engine.close()

  for (const end of await ends) assert.equal(end.status, 'rejected')
  for (const statement of statements) await assert.rejects(statement, aborted)
})

test('a closed engine refuses statements and connections, and is closed again without harm', async (t) => {
  const engine = await openEngine(t)
  const opening = engine.connect()
  await Promise.all([engine.close(), engine.close()])

  await assert.rejects(engine.rows('SELECT 1'), aborted)
  await assert.rejects(engine.connect(), aborted)
  await assert.rejects((await opening).rows('SELECT 1'), aborted)
  await engine.returnMemory()
})

test('an engine that is closed while it returns memory has nothing to report', async (t) => {
  const engine = await openEngine(t)
  const statement = engine.rows(longStatement)
  const returned = engine.returnMemory()
  await handedOver()
  await engine.close()

  await assert.rejects(statement, aborted)
  await returned
})

test('an abort ends its own statement only, with its reason, and the settings are put back', async (t) => {
  const engine = await openEngine(t)
  const stop = new AbortController()
  const ended = engine.withSettings({ threads: 1 }, async () => {
    const statement = engine.rows(longStatement, stop.signal)
    const waiting = engine.rows('SELECT 1 AS one')
    await handedOver()
    stop.abort(new Error('no longer wanted'))
    const [, next] = await Promise.allSettled([statement, waiting])
    assert.deepEqual(next, { status: 'fulfilled', value: [{ one: 1 }] })
    await statement
  })

  await assert.rejects(ended, { message: 'no longer wanted' })
  await assert.rejects(engine.rows('SELECT 1', stop.signal), { message: 'no longer wanted' })
  assert.deepEqual(await engine.rows("SELECT current_setting('threads')::INTEGER AS threads"), [
    { threads: 2 },
  ])
})

test('the engine keeps no copy of the files that it has read', async (t) => {
  const path = join(await temporaryDirectory(t), 'read.parquet')
  const engine = await openEngine(t)
  await engine.run(
    `COPY (SELECT range AS n, hash(range) AS h FROM range(500000)) TO '${path}' (FORMAT parquet)`,
  )

  await engine.rows(`SELECT bit_xor(h) FROM read_parquet('${path}')`)

  const [kept] = await engine.rows('SELECT sum(memory_usage_bytes)::DOUBLE AS bytes FROM duckdb_memory()')
  assert.ok(Number(kept?.bytes) < 1_000, `${kept?.bytes} bytes`)
})
