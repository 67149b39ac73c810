import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Clock } from '../../../src/clock.ts'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import type { Span } from '../../../src/records.ts'
import { HastyClock } from '../../support/hasty-clock.ts'
import {
  blob,
  type CommitterFixture,
  committerFixture,
  heldBecause,
  rowsOf,
  type Step,
  span,
} from './committer-fixture.ts'

const again = { removesRows: true } as const
const other = { ...blob, blob: 'logs/other.json' }

/** Ends the process once a step of its own batch has been made, and not of an earlier one. */
function killedAfter(last: string): Step {
  let [hasStaged, isOver] = [false, false]
  return async (name, call) => {
    if (isOver) throw new Error('killed')
    const result = await call()
    hasStaged ||= name === 'put'
    isOver = hasStaged && name === last
    return result
  }
}

/** Loads are refused. */
const refusingLoads: Step = async (name, call) => {
  if (name === 'load files') throw refusal('failed')
  return call()
}

function refusal(executed: 'failed' | 'yes'): TailraceError {
  return new TailraceError('STATEMENT_FAILED', 'The table takes no rows.', {
    context: { errorClass: 'DELTA_READ_ONLY', executed },
  })
}

/** A table that has nine of the ten rows of a batch, whose process was killed before it had recorded them. */
async function unclearLoad(fixture: CommitterFixture): Promise<void> {
  const killed = await fixture.open('logs', { step: killedAfter('load files') })
  await assert.rejects(killed.land([span(0, 100)], await fixture.encode(span(0, 100))), /killed/)
  await fixture.warehouse.rows(`DELETE FROM "lake"."logs"."logs" WHERE source_offset = 50`)
}

/** Staged files, without the marks of loads. */
async function filesOf(fixture: CommitterFixture): Promise<readonly string[]> {
  return (await fixture.staged('logs')).filter((name) => name.endsWith('.parquet'))
}

function ofOther(start: number, end: number): Span {
  return { ...other, start, end }
}

test('while a load is unclear all other blobs land, through any number of starts and crashes', async (t) => {
  const fixture = await committerFixture(t)
  await unclearLoad(fixture)
  const first = await fixture.open('logs')
  await first.land([ofOther(0, 40)], await fixture.encode(ofOther(0, 40)))
  const killed = await fixture.open('logs', { step: killedAfter('load files') })
  await assert.rejects(killed.land([ofOther(40, 70)], await fixture.encode(ofOther(40, 70))), /killed/)
  const third = await fixture.open('logs')
  assert.equal(third.landed().get(other), 70)
  assert.equal(third.landed().get(blob), undefined)
  await heldBecause(fixture)
})

test('an unclear load is settled by a start that finds its rows as they have to be', async (t) => {
  const fixture = await committerFixture(t)
  await unclearLoad(fixture)
  await heldBecause(fixture)
  await fixture.warehouse.rows(
    `INSERT INTO "lake"."logs"."logs" BY NAME SELECT * REPLACE (50 AS source_offset, '50' AS message,
      9007199254741043 AS query_id, event_time + INTERVAL 50 MICROSECOND AS event_time)
    FROM "lake"."logs"."logs" WHERE source_offset = 0`,
  )
  const next = await fixture.open('logs')
  assert.equal(next.heldBlobs?.size, 0)
  assert.equal(next.landed().get(blob), 100)
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

test('a discard keeps rows that it cannot account for unless it may remove them, and then the range lands again', async (t) => {
  const fixture = await committerFixture(t)
  await unclearLoad(fixture)
  const committer = await fixture.open('logs')
  await assert.rejects(
    async () => committer.discardLoad?.(undefined, { removesRows: false }),
    (error) => isTailraceError(error, 'LOAD_UNCLEAR') && /expected 10, found 9/.test(error.message),
  )
  assert.equal((await filesOf(fixture)).length, 1, 'a refusal keeps the evidence')
  await assert.rejects(async () => committer.discardLoad?.('none', again), /There is no unsettled load none/)
  const { outcome, removedRows } = (await committer.discardLoad?.(undefined, again)) ?? {}
  assert.deepEqual({ outcome, removedRows }, { outcome: 'read-again', removedRows: 9 })
  assert.deepEqual(await filesOf(fixture), [], 'its file can be loaded by nobody any more')
  const next = await fixture.open('logs')
  await next.land([span(0, 120)], await fixture.encode(span(0, 120)))
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 120)))
})

test('a replay that the table refuses half way holds its blob, and a discard says to repeat it', async (t) => {
  const fixture = await committerFixture(t)
  const first = await fixture.open('logs')
  await first.land([span(0, 100)], await fixture.encode(span(0, 100)))
  const killed = await fixture.open('logs', { step: killedAfter('remove the rows of a range') })
  await assert.rejects(killed.replace(span(20, 60), [await fixture.encode(span(20, 60), 'new')]), /killed/)
  const error = await heldBecause(fixture, { step: refusingLoads })
  assert.ok(isTailraceError(error, 'STATEMENT_FAILED'))
  const next = await fixture.open('logs', { step: refusingLoads })
  assert.deepEqual(
    await next.discardLoad?.(undefined, { removesRows: false }).then(({ outcome }) => outcome),
    'replay-again',
  )
  const last = await fixture.open('logs')
  assert.equal(last.heldBlobs?.size, 0)
  await last.replace(span(20, 60), [await fixture.encode(span(20, 60), 'new')])
  assert.deepEqual(await fixture.rows('logs'), [
    ...rowsOf(span(0, 20)),
    ...rowsOf(span(20, 60), 'new'),
    ...rowsOf(span(60, 100)),
  ])
})

for (const kind of ['a replay', 'a replay of an earlier release', 'a batch of an earlier release'] as const) {
  test(`a discard of ${kind} waits until the load of a killed process has ended`, async (t) => {
    const fixture = await committerFixture(t, { copyReadsFirst: true })
    const isReplay = kind !== 'a batch of an earlier release'
    const range = isReplay ? span(20, 60) : span(0, 100)
    const killed = await fixture.open('logs')
    if (isReplay) await killed.land([span(0, 100)], await fixture.encode(span(0, 100)))
    const hold = fixture.warehouse.holdNext(/^COPY INTO/)
    const encoded = await fixture.encode(range, 'new')
    const landing = isReplay ? killed.replace(range, [encoded]) : killed.land([range], encoded)
    const orphan = landing.catch(() => {})
    await hold.reached
    await heldBecause(fixture, { step: refusingLoads })
    if (kind !== 'a replay') {
      const path = fixture.offsetPath('logs')
      const told = isReplay ? null : undefined
      const content = JSON.parse(await readFile(path, 'utf8'), (key, value: unknown) =>
        key === 'loadingSinceMs' ? told : value,
      )
      await writeFile(path, JSON.stringify(content))
    }
    const clock = new HastyClock()
    const ending: Clock = {
      now: () => clock.now(),
      after: (ms, fire) => clock.after(ms, fire),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal)
        hold.release()
        await orphan
      },
    }
    const next = await fixture.open('logs', { step: refusingLoads, clock: ending, orphanMs: 600_000 })
    const discarded = await next.discardLoad?.(undefined, { removesRows: false })
    hold.release()
    assert.equal(discarded?.outcome, 'landed')
    const rows = isReplay
      ? [...rowsOf(span(0, 20)), ...rowsOf(range, 'new'), ...rowsOf(span(60, 100))]
      : undefined
    assert.deepEqual(await fixture.rows('logs'), rows ?? rowsOf(range, 'new'))
  })
}

test('a discard of a replay that has not removed its old rows leaves them, and says to repeat it', async (t) => {
  const fixture = await committerFixture(t)
  const first = await fixture.open('logs')
  await first.land([span(0, 100)], await fixture.encode(span(0, 100)))
  const killed = await fixture.open('logs', { step: killedAfter('put') })
  await assert.rejects(killed.replace(span(20, 60), [await fixture.encode(span(20, 60), 'new')]), /killed/)
  const step: Step = async (name, call) => {
    if (name === 'remove the rows of a range') throw refusal('yes')
    return call()
  }
  await heldBecause(fixture, { step })
  const next = await fixture.open('logs', { step })
  const discarded = await next.discardLoad?.(undefined, again)
  assert.deepEqual([discarded?.outcome, discarded?.removedRows], ['replay-again', 0])
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})
