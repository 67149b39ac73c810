import assert from 'node:assert/strict'
import { utimes } from 'node:fs/promises'
import { test } from 'node:test'
import type { Clock } from '../../../src/clock.ts'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import { HastyClock } from '../../support/hasty-clock.ts'
import {
  blob,
  type CommitterFixture,
  committerFixture,
  heldBecause,
  type OpenOptions,
  rowsOf,
  type Step,
  span,
} from './committer-fixture.ts'

const logs = 'lake.logs.logs'
const tenMinutes = 600_000
const hourMs = 3_600_000

/** Ends the process when a load has been executed and before its offsets are recorded. */
function killedAfterLoad(): Step {
  let isLoaded = false
  return async (name, call) => {
    if (isLoaded) throw new Error('killed')
    const result = await call()
    if (name === 'load files') isLoaded = true
    return result
  }
}

/** Lands one batch by COPY INTO in a process that is killed right after the load. */
async function killAfterLoad(fixture: CommitterFixture): Promise<void> {
  const committer = await fixture.open('logs', { step: killedAfterLoad() })
  await assert.rejects(committer.land([span(0, 100)], await fixture.encode(span(0, 100))), /killed/)
}

/** Sends a load whose process is gone while the warehouse goes on with it. @returns what ends it */
async function orphanLoad(fixture: CommitterFixture): Promise<() => Promise<void>> {
  const hold = fixture.warehouse.holdNext(/^COPY INTO/)
  const first = await fixture.open('logs')
  const orphan = first.land([span(0, 50)], await fixture.encode(span(0, 50))).catch(() => {})
  await hold.reached
  return async () => {
    hold.release()
    await orphan
  }
}

/** A clock whose long pause lets an orphan end, as time does. */
function endingOrphan(end: () => Promise<void>): Clock {
  const clock = new HastyClock()
  return {
    now: () => clock.now(),
    after: (ms, fire) => clock.after(ms, fire),
    sleep: async (ms, signal) => {
      await clock.sleep(ms, signal)
      if (ms > 1_000) await end()
    },
  }
}

async function landRest(fixture: CommitterFixture, end: number, options: OpenOptions): Promise<void> {
  const committer = await fixture.open('logs', options)
  const from = committer.landed().get(blob) ?? 0
  if (from < end) await committer.land([span(from, end)], await fixture.encode(span(from, end)))
}

function unclear(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTailraceError(error, 'LOAD_UNCLEAR'), String(error))
    assert.match(error.message, message)
    return true
  }
}

test('a batch whose rows a row filter hides is taken for landed by the list of loaded files, and lands once', async (t) => {
  const fixture = await committerFixture(t)
  await killAfterLoad(fixture)
  fixture.warehouse.restrict(logs, { rowFilter: 'source_offset < 0' })
  await landRest(fixture, 150, { hidesRows: true })
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 150 }))
})

test('a batch whose rows a mask or a DELETE took out of sight is not landed again', async (t) => {
  const masked = await committerFixture(t)
  await killAfterLoad(masked)
  masked.warehouse.restrict(logs, { masks: new Map([['source_blob', "'***'"]]) })
  await landRest(masked, 150, { hidesRows: true })
  assert.deepEqual(await masked.rows('logs'), rowsOf({ start: 0, end: 150 }))
  const emptied = await committerFixture(t)
  await killAfterLoad(emptied)
  await emptied.warehouse.changedByOthers(logs, 'DELETE', 'DELETE FROM lake.logs.logs')
  unclear(/expected 10, found 0/)(await heldBecause(emptied))
})

test('a batch by replace-where of a killed process is not landed again by copy-into, where a row filter hides its rows by then', async (t) => {
  const fixture = await committerFixture(t)
  let isKilled = false
  const killed = await fixture.open('logs', {
    mode: 'replace-where',
    step: async (name, call) => {
      if (isKilled) throw new Error('killed')
      const result = await call()
      isKilled = name === 'replace the rows of ranges'
      return result
    },
  })
  await assert.rejects(killed.land([span(0, 50)], await fixture.encode(span(0, 50))), /killed/)
  fixture.warehouse.restrict(logs, { rowFilter: 'source_offset < 0' })
  // As a pipeline without a mode does.
  const next = fixture.open('logs', { mode: 'copy-into', hidesRows: true })
  await assert.rejects(next, unclear(/loaded in mode replace-where.*while no row filter hides rows/s))
  fixture.warehouse.restrict(logs, { rowFilter: 'TRUE' })
  await landRest(fixture, 80, { mode: 'replace-where' })
  await landRest(fixture, 100, { mode: 'copy-into' })
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 100 }))
})

for (const next of ['merge', 'transaction'] as const) {
  test(`a batch by replace-where of a killed process that was not executed is landed by ${next}`, async (t) => {
    const fixture = await committerFixture(t)
    const killed = await fixture.open('logs', {
      mode: 'replace-where',
      isManaged: true,
      step: async (name, call) => {
        if (name === 'replace the rows of ranges') throw new Error('killed')
        return call()
      },
    })
    await assert.rejects(killed.land([span(0, 50)], await fixture.encode(span(0, 50))), /killed/)
    await landRest(fixture, 80, { mode: next })
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
  })
}

for (const [mode, label] of [
  ['replace-where', 'replace the rows of ranges'],
  ['merge', 'merge rows'],
] as const)
  test(`a batch by ${mode} whose reply is lost is not landed again when a row filter hides its rows by then`, async (t) => {
    const fixture = await committerFixture(t)
    let isRestricted = false
    let lost = 1
    const committer = await fixture.open('logs', {
      mode,
      step: async (name, call) => {
        // The sink reads whether rows may be hidden when it opens the table.
        if (name === 'find the table' && isRestricted)
          throw new TailraceError('TABLE_UNSUPPORTED', 'It has a row filter.')
        const result = await call()
        if (name !== label || lost-- <= 0) return result
        isRestricted = true
        fixture.warehouse.restrict(logs, { rowFilter: 'source_offset < 0' })
        throw new TailraceError('WAREHOUSE_UNAVAILABLE', 'The reply is lost.', {
          context: { executed: 'unknown' },
        })
      },
    })
    const encoded = await fixture.encode(span(0, 50))
    await assert.rejects(committer.land([span(0, 50)], encoded), /reply is lost/)
    await assert.rejects(committer.land([span(0, 50)], encoded), /row filter/)
    isRestricted = false
    fixture.warehouse.restrict(logs, { rowFilter: 'TRUE' })
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 50 }))
    await committer.land([span(0, 50)], encoded)
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 50 }))
  })

for (const copyGuard of ['refuses-second-start', 'refuses-second-commit'] as const) {
  test(`a lost state directory while a load of the killed process still runs doubles no row, where the guard ${copyGuard}`, async (t) => {
    const fixture = await committerFixture(t, { copyGuard })
    const end = await orphanLoad(fixture)
    await fixture.forget('logs')
    await landRest(fixture, 80, {
      recoversOffsets: true,
      orphanMs: tenMinutes,
      clock: endingOrphan(end),
    })
    await end()
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
  })

  test(`a staged file that is gone while the load that has read it still runs doubles no row, where the guard ${copyGuard}`, async (t) => {
    const fixture = await committerFixture(t, { copyGuard, copyReadsFirst: true })
    const end = await orphanLoad(fixture)
    await fixture.removeStaged('logs')
    await landRest(fixture, 80, { orphanMs: tenMinutes, clock: endingOrphan(end) })
    await end()
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
  })
}

for (const mode of ['replace-where', 'merge'] as const)
  test(`a lost offset file while a load of mode copy-into still runs doubles no row by ${mode}`, async (t) => {
    const fixture = await committerFixture(t, { copyReadsFirst: true })
    const end = await orphanLoad(fixture)
    await fixture.forget('logs')
    await landRest(fixture, 80, {
      mode,
      recoversOffsets: true,
      orphanMs: tenMinutes,
      clock: endingOrphan(end),
    })
    await end()
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
  })

test('a lost offset file is no reason for replace-where to wait for loads of its own', async (t) => {
  const fixture = await committerFixture(t)
  await landRest(fixture, 50, { mode: 'replace-where' })
  await fixture.forget('logs')
  const pauses: number[] = []
  const clock = new HastyClock({ onPause: (ms) => pauses.push(ms) })
  await landRest(fixture, 80, { mode: 'replace-where', recoversOffsets: true, orphanMs: tenMinutes, clock })
  assert.deepEqual(pauses, [])
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
})

for (const lost of ['the offset file', 'the staged file'] as const) {
  test(`a load that is sent hours after its upload, because the warehouse was away, is waited for when ${lost} is lost`, async (t) => {
    const fixture = await committerFixture(t, { copyReadsFirst: true })
    const uploadedAtMs = Date.now() - 2 * hourMs
    let nowMs = uploadedAtMs
    let away = 3
    const first = await fixture.open('logs', {
      clock: { now: () => nowMs, sleep: async () => {}, after: () => () => {} },
      step: async (name, call) => {
        if (name !== 'load files' || away-- <= 0) return call()
        const [staged] = await fixture.staged('logs')
        const path = fixture.volumes.onDisk(`/Volumes/lake/logs/staging/logs/${staged}`)
        await utimes(path, uploadedAtMs / 1_000, uploadedAtMs / 1_000)
        nowMs = Date.now()
        throw new TailraceError('WAREHOUSE_UNAVAILABLE', 'The warehouse is away.', {
          context: { executed: 'no' },
        })
      },
    })
    const hold = fixture.warehouse.holdNext(/^COPY INTO/)
    const orphan = first.land([span(0, 50)], await fixture.encode(span(0, 50))).catch(() => {})
    await hold.reached
    if (lost === 'the offset file') await fixture.forget('logs')
    else await fixture.removeStaged('logs')
    const end = async (): Promise<void> => {
      hold.release()
      await orphan
    }
    const recoversOffsets = lost === 'the offset file'
    await landRest(fixture, 80, { recoversOffsets, orphanMs: tenMinutes, clock: endingOrphan(end) })
    await end()
    assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
  })
}

for (const mode of ['copy-into', 'replace-where', 'transaction'] as const) {
  for (const next of ['a run', 'a commit of units that were written again'] as const) {
    test(`a lost offset file while a killed commit's statement still runs doubles no row by ${mode}, if ${next} follows`, async (t) => {
      const fixture = await committerFixture(t)
      const units = [
        await fixture.writeUnit('logs', [span(0, 20)]),
        await fixture.writeUnit('logs', [span(20, 50)]),
      ]
      const first = await fixture.open('logs', { mode })
      const hold = fixture.warehouse.holdNext(/^(?:COPY INTO|INSERT INTO .* REPLACE WHERE|BEGIN ATOMIC)/s)
      const orphan = first.landUnits?.(units).catch(() => {})
      await hold.reached
      await fixture.forget('logs')
      const end = async (): Promise<void> => {
        hold.release()
        await orphan
      }
      const options: OpenOptions = {
        mode,
        recoversOffsets: true,
        orphanMs: tenMinutes,
        clock: endingOrphan(end),
      }
      if (next === 'a run') await landRest(fixture, 80, options)
      else {
        const again = [
          await fixture.writeUnit('logs', [span(0, 40)]),
          await fixture.writeUnit('logs', [span(40, 80)]),
        ]
        const committer = await fixture.open('logs', options)
        await committer.landUnits?.(again)
        await end()
        await landRest(fixture, 80, { mode, recoversOffsets: true })
      }
      await end()
      assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
    })
  }
}

test('a process that is killed before its load was sent waits for nobody, and its batch begins anew', async (t) => {
  const fixture = await committerFixture(t)
  const killed = await fixture.open('logs', {
    step: (name, call) => (name === 'put' ? Promise.reject(new Error('killed')) : call()),
  })
  await assert.rejects(killed.land([span(0, 50)], await fixture.encode(span(0, 50))), /killed/)
  const pauses: number[] = []
  const clock = new HastyClock({ onPause: (ms) => pauses.push(ms) })
  await landRest(fixture, 80, { orphanMs: tenMinutes, clock })
  assert.deepEqual(pauses, [])
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 80 }))
})

test('of two processes with two state directories that load the same blob, the second one stops before it doubles a row', async (t) => {
  const fixture = await committerFixture(t)
  const first = await fixture.open('logs')
  await fixture.forget('logs')
  const second = await fixture.open('logs')
  await first.land([span(0, 50)], await fixture.encode(span(0, 50)))
  await assert.rejects(
    second.land([span(0, 70)], await fixture.encode(span(0, 70))),
    unclear(/another process lands the same blobs with another state directory/),
  )
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 50 }))
})

test('of two processes that load the same new range at the same moment, the one whose load ends later stops and names it', async (t) => {
  const fixture = await committerFixture(t)
  const first = await fixture.open('logs')
  await fixture.forget('logs')
  const second = await fixture.open('logs')
  const hold = fixture.warehouse.holdNext(/^COPY INTO/)
  const late = first.land([span(0, 50)], await fixture.encode(span(0, 50)))
  await hold.reached
  await second.land([span(0, 50)], await fixture.encode(span(0, 50)))
  hold.release()
  await assert.rejects(
    late,
    unclear(/expected 5, found 10, of logs\/pg.json from 0 to 50.*at the same moment/),
  )
})

test('a lost offset file is not made up from rows that a filter may hide', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs')
  await committer.land([span(0, 50)], await fixture.encode(span(0, 50)))
  fixture.warehouse.restrict(logs, { rowFilter: 'source_offset > 20' })
  await fixture.forget('logs')
  await assert.rejects(
    fixture.open('logs', { recoversOffsets: true, hidesRows: true }),
    unclear(/may hide rows/),
  )
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 50 }))
})

test('a replay that the table refuses leaves no intent, and one that was killed is given up by the next start', async (t) => {
  const fixture = await committerFixture(t)
  await landRest(fixture, 100, {})
  const refusing: Step = async (name, call) => {
    if (name !== 'remove the rows of a range') return call()
    throw new TailraceError('STATEMENT_FAILED', 'The table is append-only.', {
      context: { errorClass: 'DELTA_CANNOT_MODIFY_APPEND_ONLY', sqlState: '42809', executed: 'failed' },
    })
  }
  const committer = await fixture.open('logs', { step: refusing })
  const replayed = [await fixture.encode(span(20, 60), 'new')]
  await assert.rejects(committer.replace(span(20, 60), replayed), /append-only/)
  let isKilled = false
  const killed = await fixture.open('logs', {
    step: async (name, call) => {
      isKilled ||= name === 'remove the rows of a range'
      if (isKilled) throw new Error('killed')
      return call()
    },
  })
  await assert.rejects(killed.replace(span(20, 60), replayed), /killed/)
  await landRest(fixture, 130, { step: refusing })
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 130 }))
})

test('the removal of a killed replay that is executed late leaves the rows of a later replay', async (t) => {
  const fixture = await committerFixture(t)
  await landRest(fixture, 100, {})
  const hold = fixture.warehouse.holdNext(/^DELETE FROM/)
  let isKilled = false
  const killed = await fixture.open('logs', {
    step: (name, call) => (isKilled ? Promise.reject(new Error(`killed before ${name}`)) : call()),
  })
  const first = killed.replace(span(0, 50), [await fixture.encode(span(0, 50), 'first')]).catch(() => {})
  await hold.reached
  isKilled = true
  // The start completes the replay, by statements of its own.
  const next = await fixture.open('logs')
  await next.replace(span(0, 100), [await fixture.encode(span(0, 100), 'second')])
  hold.release()
  await first
  assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 100 }, 'second'))
})

for (const mode of ['replace-where', 'transaction'] as const) {
  for (const drops of [false, true]) {
    test(`a statement of a killed replay by ${mode} that ${drops ? 'drops all rows of its range' : 'replaces rows'} and is executed late leaves the rows of a later replay`, async (t) => {
      const fixture = await committerFixture(t)
      const first = await fixture.open('logs', { mode })
      await first.land([span(0, 100)], await fixture.encode(span(0, 100)))
      const hold = fixture.warehouse.holdNext(/^(?:INSERT INTO .* REPLACE WHERE|DELETE FROM|BEGIN ATOMIC)/s)
      const killed = await fixture.open('logs', { mode })
      const replayed = drops ? [] : [await fixture.encode(span(0, 50), 'first')]
      const late = killed.replace(span(0, 50), replayed).then(
        () => undefined,
        (error: unknown) => error,
      )
      await hold.reached
      const next = await fixture.open('logs', { mode })
      await next.replace(span(0, 100), [await fixture.encode(span(0, 100), 'second')])
      hold.release()
      await late
      assert.deepEqual(await fixture.rows('logs'), rowsOf({ start: 0, end: 100 }, 'second'))
    })
  }
}

test('a statement of a killed replay by merge that is executed late leaves the rows of a later replay', async (t) => {
  for (const doubled of [false, true]) {
    const fixture = await committerFixture(t)
    const first = await fixture.open('logs', { mode: 'merge' })
    await first.land([span(0, 100)], await fixture.encode(span(0, 100)))
    if (doubled) {
      await fixture.warehouse.rows(
        `INSERT INTO "lake"."logs"."logs" SELECT * FROM "lake"."logs"."logs" WHERE source_offset = 20`,
      )
    }
    const hold = fixture.warehouse.holdNext(/^(?:DELETE FROM|MERGE INTO .*THEN UPDATE)/s)
    let isKilled = false
    const killed = await fixture.open('logs', {
      mode: 'merge',
      step: (name, call) => (isKilled ? Promise.reject(new Error(`killed before ${name}`)) : call()),
    })
    const late = killed.replace(span(0, 50), [await fixture.encode(span(0, 50), 'first')]).catch(() => {})
    await hold.reached
    isKilled = true
    const next = await fixture.open('logs', { mode: 'merge' })
    await next.replace(span(0, 100), [await fixture.encode(span(0, 100), 'second')])
    hold.release()
    await late
    assert.deepEqual(
      await fixture.rows('logs'),
      rowsOf({ start: 0, end: 100 }, 'second'),
      `doubled: ${doubled}`,
    )
  }
})

test('the rows of 10,000 ranges are counted in a few statements', async (t) => {
  const fixture = await committerFixture(t)
  const calls: string[] = []
  const committer = await fixture.open('logs', {
    step: (name, call) => {
      calls.push(name)
      return call()
    },
  })
  const spans = Array.from({ length: 10_000 }, (_, index) => ({
    blob: `logs/${index}.json`,
    generation: blob.generation,
    start: 0,
    end: 10,
  }))
  calls.length = 0
  await committer.land(spans, await fixture.encode({ ...blob, start: 0, end: 100 }))
  assert.equal(
    calls.filter((name) => name === 'count the rows of ranges').length,
    2 * 3,
    'before and after the load',
  )
})
