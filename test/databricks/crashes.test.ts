import assert from 'node:assert/strict'
import test from 'node:test'
import { TailraceError } from '../../src/errors.ts'
import { retry } from '../../src/retry.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import {
  blob,
  type CommitterFixture,
  committerFixture,
  type OpenOptions,
  rowsOf,
  type Step,
  span,
} from '../sinks/databricks/committer-fixture.ts'
import { Death, dyingAt, endingsOf, failingAt } from '../sinks/databricks/failing-calls.ts'
import { HastyClock } from '../support/hasty-clock.ts'

/** Lands bytes up to `end` from wherever the table is, in batches of `size`: what a source does after a start. */
async function landUpTo(
  fixture: CommitterFixture,
  table: string,
  end: number,
  size: number,
  options: OpenOptions,
): Promise<void> {
  const committer = await fixture.open(table, options)
  try {
    for (let from = committer.landed().get(blob) ?? 0; from < end; ) {
      const to = Math.min(end, from + size)
      const encoded = await fixture.encode(span(from, to))
      // As the sink does.
      await retry(() => committer.land([span(from, to)], encoded), { clock: new HastyClock() })
      from = to
    }
  } finally {
    await committer.close()
  }
}

const end = 200
/** Two batches, of which the second begins where the first has ended. */
const batchBytes = 100
/** Batches of a start after a crash end elsewhere. */
const otherBatchBytes = 150

const calls = { transaction: 6, 'replace-where': 6, 'copy-into': 10, merge: 6 } as const

for (const mode of ['transaction', 'replace-where', 'copy-into', 'merge'] as const) {
  test(`a process that ends at any call while it lands by ${mode} leaves every row once, however the rest is cut`, async (t) => {
    const fixture = await committerFixture(t)
    // The first pipeline of a schema makes what all of them share.
    await landUpTo(fixture, 'first', end, end, { mode })
    const whole = dyingAt(0, 'before')
    await landUpTo(fixture, 'whole', end, batchBytes, { mode, step: whole.step })
    assert.deepEqual(await fixture.rows('whole'), rowsOf({ start: 0, end }))
    assert.ok(whole.calls.length >= calls[mode], String(whole.calls))
    for (const { at, side, what } of endingsOf(whole.calls)) {
      const table = `t${at}${side}`
      const death = dyingAt(at, side)
      await assert.rejects(landUpTo(fixture, table, end, batchBytes, { mode, step: death.step }), Death)
      await landUpTo(fixture, table, end, otherBatchBytes, { mode })
      assert.deepEqual(await fixture.rows(table), rowsOf({ start: 0, end }), what)
    }
  })

  const losses = mode === 'copy-into' ? [false] : [false, true]
  for (const losesState of losses)
    test(`a process that ends at any call while it lands a range again by ${mode}${losesState ? ', and loses its state directory,' : ''} leaves the old or the new rows`, async (t) => {
      const fixture = await committerFixture(t)
      const range = span(50, 150)
      const replaceIn = async (table: string, step: Step): Promise<void> => {
        const committer = await fixture.open(table, { mode, step })
        const encoded: EncodedBatch[] = []
        // A MERGE replaces what one batch has, in one step.
        const parts = mode === 'merge' ? [range] : [span(50, 90), span(90, 150)]
        for (const part of parts) encoded.push(await fixture.encode(part, 'new'))
        await committer.replace(range, encoded)
        await committer.close()
      }
      const before = rowsOf({ start: 0, end })
      const after = [
        ...rowsOf({ start: 0, end: 50 }),
        ...rowsOf(range, 'new'),
        ...rowsOf({ start: 150, end }),
      ]
      const begin = (table: string): Promise<void> => landUpTo(fixture, table, end, end, { mode })
      await begin('whole')
      const whole = dyingAt(0, 'before')
      await replaceIn('whole', whole.step)
      assert.deepEqual(await fixture.rows('whole'), after)
      for (const { at, side, what } of endingsOf(whole.calls)) {
        const table = `r${at}${side}`
        await begin(table)
        await assert.rejects(replaceIn(table, dyingAt(at, side).step), Death)
        if (losesState) await fixture.forget(table)
        // The next start ends what was begun, and goes on landing.
        await landUpTo(fixture, table, end, end, { mode, recoversOffsets: losesState })
        const found = await fixture.rows(table)
        assert.ok([before.join(), after.join()].includes(found.join()), what)
        await replaceIn(table, (_name, call) => call())
        assert.deepEqual(await fixture.rows(table), after, what)
      }
    })
}

for (const mode of ['transaction', 'replace-where', 'merge'] as const) {
  test(`a process that ends at any call while it lands by ${mode}, and loses its state directory, leaves every row once`, async (t) => {
    const fixture = await committerFixture(t)
    await landUpTo(fixture, 'first', end, end, { mode })
    const whole = dyingAt(0, 'before')
    await landUpTo(fixture, 'whole', end, batchBytes, { mode, step: whole.step })
    for (const { at, side, what } of endingsOf(whole.calls)) {
      const table = `l${at}${side}`
      const death = dyingAt(at, side)
      await assert.rejects(landUpTo(fixture, table, end, batchBytes, { mode, step: death.step }), Death)
      await fixture.forget(table)
      await landUpTo(fixture, table, end, otherBatchBytes, { mode, recoversOffsets: true })
      assert.deepEqual(await fixture.rows(table), rowsOf({ start: 0, end }), what)
    }
  })
}

/** How a call to the workspace or to the offset file fails: what passes by itself, and what does not. */
const failures = (
  ['WAREHOUSE_UNAVAILABLE', 'STATEMENT_FAILED', 'DISK_FULL', 'DIRECTORY_UNUSABLE'] as const
).map((code) => new TailraceError(code, 'injected'))

for (const mode of ['transaction', 'replace-where', 'copy-into', 'merge'] as const) {
  test(`a process whose landing by ${mode} has one failed call, of any kind, continues or ends with the code, and each row lands once`, async (t) => {
    const fixture = await committerFixture(t)
    const endings: Record<string, number> = {}
    let failed = 0
    for (let at = 1; ; at += 1) {
      const error = failures[at % failures.length]!
      const side = at % 8 < 4 ? 'before' : 'after'
      const table = `f${at}`
      const { step, calls } = failingAt(at, side, error)
      const ending = await landUpTo(fixture, table, end, batchBytes, { mode, step }).then(
        () => 'went on',
        (thrown: unknown) => {
          assert.equal(thrown, error)
          return error.code
        },
      )
      if (calls.length < at) break
      failed += 1
      endings[ending] = (endings[ending] ?? 0) + 1
      const what = `${error.code} ${side} ${calls[at - 1]} (${at})`
      if (ending === 'went on') assert.deepEqual(await fixture.rows(table), rowsOf({ start: 0, end }), what)
      await landUpTo(fixture, table, end, otherBatchBytes, { mode })
      assert.deepEqual(await fixture.rows(table), rowsOf({ start: 0, end }), what)
    }
    t.diagnostic(`${failed} calls failed; how the runs ended: ${JSON.stringify(endings)}`)
  })
}

test('a process that ends at any call while it stages files leaves each batch staged once, and offsets that say so', async (t) => {
  const fixture = await committerFixture(t)
  const stagedRows = async (table: string): Promise<number[]> => {
    const found = await fixture.warehouse.rows(`SELECT source_offset FROM
      read_parquet('${fixture.volumes.root}/Volumes/lake/logs/staging/${table}/**/*.parquet') ORDER BY source_offset`)
    return found.map(({ source_offset }) => Number(source_offset))
  }
  const all = rowsOf({ start: 0, end }).map((_row, index) => index * 10)
  const whole = dyingAt(0, 'before')
  await landUpTo(fixture, 'whole', end, batchBytes, { mode: 'stage-only', step: whole.step })
  assert.deepEqual(await stagedRows('whole'), all)
  for (const { at, side, what } of endingsOf(whole.calls)) {
    const table = `s${at}${side}`
    const death = dyingAt(at, side)
    await assert.rejects(
      landUpTo(fixture, table, end, batchBytes, { mode: 'stage-only', step: death.step }),
      Death,
    )
    await landUpTo(fixture, table, end, otherBatchBytes, { mode: 'stage-only' })
    assert.deepEqual(await stagedRows(table), all, what)
  }
})
