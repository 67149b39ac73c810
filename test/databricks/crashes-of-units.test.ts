import assert from 'node:assert/strict'
import test from 'node:test'
import type { Clock } from '../../src/clock.ts'
import { TailraceError } from '../../src/errors.ts'
import type { WrittenUnit } from '../../src/sinks/table-committer.ts'
import {
  blob,
  type CommitterFixture,
  committerFixture,
  type FixtureMode,
  rowsOf,
  type Step,
  span,
} from '../sinks/databricks/committer-fixture.ts'
import { Death, dyingAt, endingsOf, failingAt } from '../sinks/databricks/failing-calls.ts'

const end = 200
const spans = [span(0, 70), span(70, 130), span(130, end)]
const modes = ['transaction', 'replace-where', 'copy-into'] as const
const undisturbed: Step = (_name, call) => call()

/** A machine whose time is an hour ahead: its files are in another folder, so that COPY INTO takes two statements. */
const later: Clock = { now: () => Date.now() + 3_600_000, sleep: async () => {}, after: () => () => {} }

/** Stores three units, of which the second one is in another folder. */
async function writeAll(fixture: CommitterFixture, table: string): Promise<WrittenUnit[]> {
  const units: WrittenUnit[] = []
  for (const [index, one] of spans.entries())
    units.push(await fixture.writeUnit(table, [one], index === 1 ? later : undefined))
  return units
}

/** Commits manifests as a process of its own does. */
async function commitAll(
  fixture: CommitterFixture,
  table: string,
  units: readonly WrittenUnit[],
  mode: FixtureMode,
  step: Step = undisturbed,
): Promise<readonly unknown[]> {
  const committer = await fixture.open(table, { mode, step })
  try {
    return (await committer.landUnits?.(units))?.outcomes ?? []
  } finally {
    await committer.close()
  }
}

/** What a scheduler does after a commit that failed: commits the same manifests, and writes those again that are refused. */
async function recover(
  fixture: CommitterFixture,
  table: string,
  units: readonly WrittenUnit[],
  mode: FixtureMode,
): Promise<void> {
  const outcomes = await commitAll(fixture, table, units, mode)
  const again: WrittenUnit[] = []
  for (const [index, one] of spans.entries())
    if (typeof outcomes[index] === 'object') again.push(await fixture.writeUnit(table, [one]))
  for (const outcome of await commitAll(fixture, table, again, mode)) assert.equal(typeof outcome, 'string')
}

/** What a run does instead: it settles what was begun, and lands the rest itself. */
async function landRest(fixture: CommitterFixture, table: string, mode: FixtureMode): Promise<void> {
  const committer = await fixture.open(table, { mode })
  const from = committer.landed().get(blob) ?? 0
  if (from < end) await committer.land([span(from, end)], await fixture.encode(span(from, end)))
  await committer.close()
}

for (const mode of modes) {
  test(`a commit of units by ${mode} that ends at any call leaves every row once, whether it is repeated or a run goes on`, async (t) => {
    const fixture = await committerFixture(t)
    // The first pipeline of a schema makes what all of them share.
    await commitAll(fixture, 'first', await writeAll(fixture, 'first'), mode)
    const whole = dyingAt(0, 'before')
    const outcomes = await commitAll(
      fixture,
      'whole',
      (await writeAll(fixture, 'whole')).reverse(),
      mode,
      whole.step,
    )
    assert.deepEqual(outcomes, ['landed', 'landed', 'landed'])
    assert.deepEqual(await fixture.rows('whole'), rowsOf({ start: 0, end }))
    for (const { at, side, what } of endingsOf(whole.calls)) {
      // Files are removed behind the commit, and it does not matter whether they are.
      if (side === 'after' && whole.calls[at - 1] === 'remove') continue
      const next = at % 2 === 0 ? 'commit' : 'run'
      const table = `u${at}${side}`
      const units = await writeAll(fixture, table)
      const ended = commitAll(fixture, table, units, mode, dyingAt(at, side).step)
      await assert.rejects(ended, Death, what)
      if (next === 'run') await landRest(fixture, table, mode)
      await recover(fixture, table, units, mode)
      assert.deepEqual(await fixture.rows(table), rowsOf({ start: 0, end }), `${what}, then a ${next}`)
    }
  })

  test(`a commit of units by ${mode} of which one call fails, having been made or not, leaves every row once`, async (t) => {
    const fixture = await committerFixture(t)
    await commitAll(fixture, 'first', await writeAll(fixture, 'first'), mode)
    for (const executed of ['unknown', 'failed'] as const) {
      const error = new TailraceError('WAREHOUSE_UNAVAILABLE', 'the reply is lost', { context: { executed } })
      for (let at = 1; ; at += 1) {
        const table = `f${executed}${at}`
        const units = await writeAll(fixture, table)
        const { step, calls } = failingAt(at, executed === 'unknown' ? 'after' : 'before', error)
        await commitAll(fixture, table, units, mode, step).catch((thrown: unknown) =>
          assert.equal(thrown, error),
        )
        if (calls.length < at) break
        await recover(fixture, table, units, mode)
        assert.deepEqual(await fixture.rows(table), rowsOf({ start: 0, end }), `${calls[at - 1]} (${at})`)
      }
    }
  })
}
