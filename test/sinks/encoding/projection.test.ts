import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import { spoolProjectionSql } from '../../../src/sinks/encoding/projection.ts'
import { carefulSettings } from '../../../src/sinks/encoding/statement-settings.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { LineGrammar } from '../../support/line-grammar.ts'
import { encoderFixture } from '../encoder-harness.ts'

test('projected in several steps, generated lines have the same values as in one', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const grammar = new LineGrammar(seededRandom(seed), { maxBytes: 20_000 })
  const lines = Array.from({ length: 2_000 }, () => grammar.line().bytes.toString())
  const wrapped = lines
    .slice(0, 300)
    .flatMap((line) => [
      JSON.stringify({ log: line, stream: 'stderr' }),
      JSON.stringify({ category: 'PostgreSQLLogs', properties: line, time: '2026-11-24T08:54:36Z' }),
    ])
  const extraColumns = [{ name: 'pod', type: 'string', from: 'logging_pod' }] as const
  for (const options of [{}, { extraColumns, timezone: 'Europe/Berlin', strict: true }]) {
    const declaration = postgresLogs('a.b.c', options)
    const { engine, spool } = await encoderFixture(t, declaration)
    const entries = [...lines, ...wrapped].map((raw) => ({
      raw: raw.replaceAll('\r', ' ').replaceAll('\0', ' '),
    }))
    const { spoolPath, spans, ...facts } = await spool(entries)
    const source = { spans, pieces: [{ ...facts, path: spoolPath, bytes: facts.spoolBytes }] }
    const steps: string[] = []
    const store = (select: string): string => `step_${steps.push(select)}`
    const inSteps = spoolProjectionSql(declaration, source, 0, { store })
    assert.ok(steps.length > 1)
    // The encoder's settings: with every optimizer, the engine holds more texts at a time. Both results stay in memory.
    await engine.withSettings({ ...carefulSettings(0), memory_limit: '500MiB' }, async () => {
      for (const [index, step] of steps.entries())
        await engine.run(`CREATE TEMP TABLE step_${index + 1} AS ${step}`)
      await engine.run(`CREATE TEMP TABLE in_steps AS ${inSteps}`)
      await engine.run(`CREATE TEMP TABLE at_once AS ${spoolProjectionSql(declaration, source, 0)}`)
    })
    const others = await engine.rows(
      '(FROM at_once EXCEPT FROM in_steps) UNION ALL (FROM in_steps EXCEPT FROM at_once)',
    )
    assert.deepEqual(others, [], `seed ${seed}`)
    const [count] = await engine.rows('SELECT count(*)::INTEGER AS rows FROM in_steps')
    assert.equal(count?.rows, entries.length)
  }
})
