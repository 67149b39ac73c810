import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { query, replay, status, verify } from '../../src/index.ts'
import { landAll, openBench } from '../commands/command-fixture.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'

const lines = Array.from({ length: 5_000 }, (_, index) => jsonlogLine(index))

async function landed(t: TestContext): Promise<ResolvedConfig> {
  const bench = await openBench(t)
  await bench.storage.append('one', linesAsBytes([...lines, 'no JSON']))
  const config = bench.config({ one: {} })
  await landAll(config)
  return config
}

test('status, verify and replay return what the commands of these names print', async (t) => {
  const config = await landed(t)
  const { blobs, pipelines, error } = await status(config)
  assert.deepEqual(
    blobs.map(({ blob, rows, rejected, lagBytes }) => ({ blob, rows, rejected, lagBytes })),
    [{ blob: 'logs/one', rows: lines.length + 1, rejected: 1, lagBytes: 0 }],
  )
  assert.deepEqual([pipelines.length, error], [1, undefined])
  const { span, rows, removedRows } = await replay(config, { pipeline: 'one', blob: 'one', from: 0 })
  assert.deepEqual([span.start, rows, removedRows], [0, lines.length + 1, lines.length + 1])
  const verified = await verify(config, { pipeline: 'one' })
  assert.deepEqual([verified.complete, verified.blobs[0]?.rows], [true, lines.length + 1])
  await assert.rejects(verify(config, { pipeline: 'two' }), (thrown) => isTailraceError(thrown, 'USAGE'))
})

test('query yields the rows of a statement, no further than they are asked for, and throws its failure', async (t) => {
  const config = await landed(t)
  const found = []
  for await (const row of query(config, 'select line_num, pid from one order by line_num')) found.push(row)
  assert.equal(found.length, lines.length + 1)
  assert.deepEqual(Object.keys(found[0]!), ['line_num', 'pid'])
  for await (const row of query(config, 'select message from one')) {
    assert.equal(typeof row.message, 'string')
    break
  }
  const failing = async (sql: string): Promise<void> => {
    for await (const _ of query(config, sql));
  }
  await assert.rejects(failing('select nothing from one'), (thrown) =>
    isTailraceError(thrown, 'QUERY_FAILED'),
  )
  await assert.rejects(failing('drop table one'), (thrown) => isTailraceError(thrown, 'QUERY_REFUSED'))
})
