import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import test from 'node:test'
import { isTailraceError } from '../../../src/errors.ts'
import { retry } from '../../../src/retry.ts'
import { CopyInto } from '../../../src/sinks/databricks/loading/copy-into.ts'
import { sentMarkName } from '../../../src/sinks/databricks/staging/staged-files.ts'
import {
  blob,
  committerFixture,
  declarationOf,
  directWarehouse,
  heldBecause,
  rowsOf,
  type Step,
  span,
} from './committer-fixture.ts'

/** Ends the process when a load is done and its offsets are not yet written. */
/** The offsets come after the intent and, where files are loaded, after the note that the load is sent. */
function killedBeforeOffsets(mode: 'copy-into' | 'stage-only' = 'copy-into'): Step {
  const last = mode === 'stage-only' ? 2 : 3
  let records = 0
  return async (name, call) => {
    if (name === 'record') records += 1
    if (records === last) throw new Error('killed')
    return call()
  }
}

const code = (wanted: string) => (error: unknown) => isTailraceError(error) && error.code === wanted

test('a load that a killed process left running is waited for, and its rows are not added again', async (t) => {
  const fixture = await committerFixture(t)
  const killed = await fixture.open('logs')
  const held = fixture.warehouse.holdNext(/^COPY INTO/)
  const orphan = killed.land([span(0, 100)], await fixture.encode(span(0, 100)))
  await held.reached
  const pauses: number[] = []
  const clock = {
    now: () => Date.now(),
    sleep: async (ms: number) => {
      pauses.push(ms)
      if (pauses.length === 3) {
        held.release()
        await orphan
      }
    },
    after: () => () => {},
  }
  const next = await fixture.open('logs', { clock })
  assert.deepEqual(pauses, [15_000, 30_000, 60_000])
  assert.equal(next.landed().get(blob), 100)
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

test('a removal that a killed replay left running leaves the rows that the next start has loaded', async (t) => {
  const fixture = await committerFixture(t)
  const killed = await fixture.open('logs')
  await killed.land([span(0, 100)], await fixture.encode(span(0, 100)))
  const held = fixture.warehouse.holdNext(/^DELETE/)
  const orphan = killed.replace(span(20, 60), [await fixture.encode(span(20, 60), 'new')])
  await held.reached
  const replaced = [...rowsOf(span(0, 20)), ...rowsOf(span(20, 60), 'new'), ...rowsOf(span(60, 100))]
  await fixture.open('logs')
  assert.deepEqual(await fixture.rows('logs'), replaced)
  held.release()
  await orphan
  assert.deepEqual(await fixture.rows('logs'), replaced)
})

test('a batch that does not start at the offsets is fenced, and nothing of it is loaded', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs')
  await committer.land([span(0, 100)], await fixture.encode(span(0, 100)))
  await assert.rejects(
    committer.land([span(50, 150)], await fixture.encode(span(50, 150))),
    code('COMMIT_FENCED'),
  )
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

for (const mode of ['copy-into', 'merge'] as const) {
  test(`when the offset file is lost, offsets come from the rows that ${mode} landed`, async (t) => {
    const fixture = await committerFixture(t)
    const first = await fixture.open('logs', { mode })
    await first.land([span(0, 100)], await fixture.encode(span(0, 100)))
    await fixture.forget('logs')
    const second = await fixture.open('logs', { mode, recoversOffsets: true })
    assert.equal(second.landed().get(blob), 100)
    await second.land([span(100, 150)], await fixture.encode(span(100, 150)))
    assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 150)))
  })
}

test('a range whose new rows need several statements is replaced part by part, each with its own rows', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs', { mode: 'merge' })
  await committer.land([span(0, 300)], await fixture.encode(span(0, 300)))
  const long = 'x'.repeat(200_000)
  // Without those from 110 to 200, which a transform may have dropped since.
  const encoded = [await fixture.encode(span(20, 110), long), await fixture.encode(span(200, 250), long)]
  const before = fixture.warehouse.statements.get('MERGE') ?? 0
  await committer.replace(span(20, 250), encoded)
  assert.ok((fixture.warehouse.statements.get('MERGE') ?? 0) - before > 2)
  assert.deepEqual(await fixture.rows('logs'), [
    ...rowsOf(span(0, 20)),
    ...rowsOf(span(20, 110), long),
    ...rowsOf(span(200, 250), long),
    ...rowsOf(span(250, 300)),
  ])
})

test('rows that somebody removed from a batch whose file is gone hold their blob at the next start, with the ranges', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs', { step: killedBeforeOffsets() })
  await assert.rejects(committer.land([span(0, 100)], await fixture.encode(span(0, 100))), /killed/)
  await fixture.removeStaged('logs')
  await fixture.warehouse.rows(`DELETE FROM "lake"."logs"."logs" WHERE source_offset = 50`)
  const error = await heldBecause(fixture)
  assert.ok(code('LOAD_UNCLEAR')(error))
  assert.match(String(error), /found 9, of logs\/pg\.json from 0 to 100/)
})

test('a batch whose file was taken away after its rows were loaded counts as landed', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs', { step: killedBeforeOffsets() })
  await assert.rejects(committer.land([span(0, 100)], await fixture.encode(span(0, 100))), /killed/)
  await fixture.removeStaged('logs')
  const next = await fixture.open('logs')
  assert.equal(next.landed().get(blob), 100)
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

test('staged files go with the hour that is older than the retention, and all but the present ones when space is short', async (t) => {
  const fixture = await committerFixture(t)
  const hourMs = 3_600_000
  let nowMs = Date.UTC(2026, 10, 24, 8, 47)
  const clock = { now: () => nowMs, sleep: async () => {}, after: () => () => {} }
  const committer = await fixture.open('logs', { clock, retentionMs: 24 * hourMs })
  let landed = 0
  const land = async (): Promise<void> => {
    const next = span(landed, landed + 10)
    await committer.land([next], await fixture.encode(next))
    landed += 10
  }
  await fixture.putStaged('logs', 'notes.txt')
  await fixture.putStaged('logs', sentMarkName(randomUUID(), nowMs))
  await land()
  nowMs += hourMs
  await land()
  nowMs += 24 * hourMs - 60_000
  await land()
  await committer.close()
  const hours = (await fixture.staged('logs')).map((name) => name.replace(/[^/]*$/, ''))
  assert.deepEqual(hours, ['2026-11-24/09/', '2026-11-25/09/', ''])
  await committer.releaseCaches()
  await committer.close()
  assert.deepEqual(await fixture.staged('logs'), ['notes.txt'])
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, landed)))
})

test('a load fails until the warehouse can do it, and the same batch is then loaded once', async (t) => {
  const fixture = await committerFixture(t)
  let failures = 3
  const committer = await fixture.open('logs', {
    step: async (name, call) => {
      const result = await call()
      // The reply is lost: what was asked for has been done.
      if (name === 'load files' && failures > 0) {
        failures -= 1
        throw Object.assign(new Error('unreachable'), {})
      }
      return result
    },
  })
  const encoded = await fixture.encode(span(0, 100))
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await assert.rejects(committer.land([span(0, 100)], encoded), /unreachable/)
  }
  await retry(() => committer.land([span(0, 100)], encoded))
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

test('a range of a staged-only table is refused for a replay, with what to do', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs', { mode: 'stage-only' })
  await assert.rejects(
    committer.replace(span(0, 10), [await fixture.encode(span(0, 10))]),
    code('TABLE_UNSUPPORTED'),
  )
})

test('a short disk takes no staged file from an Auto Loader, whatever the retention', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs', { mode: 'stage-only', retentionMs: 3_600_000 })
  await committer.land([span(0, 10)], await fixture.encode(span(0, 10)))
  await committer.releaseCaches()
  await committer.close()
  assert.equal((await fixture.staged('logs')).length, 1)
})

test('a batch that is under way in one mode is not taken for done or not begun by another', async (t) => {
  for (const [mode, other] of [
    ['copy-into', 'merge'],
    ['copy-into', 'stage-only'],
    ['stage-only', 'copy-into'],
  ] as const) {
    const fixture = await committerFixture(t)
    const killed = await fixture.open('logs', { mode, step: killedBeforeOffsets(mode) })
    await assert.rejects(killed.land([span(0, 100)], await fixture.encode(span(0, 100))), /killed/)
    await assert.rejects(fixture.open('logs', { mode: other }), (error: unknown) => {
      assert.ok(code('LOAD_UNCLEAR')(error))
      assert.match(String(error), new RegExp(`mode ${mode}`))
      return true
    })
    assert.equal((await fixture.open('logs', { mode })).landed().get(blob), 100)
  }
})

test('rows that a warehouse did not take from a MERGE stop the landing before the offset moves', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs', {
    mode: 'merge',
    // A text that from_json cannot read gives no rows, and no failure.
    step: async (name, call) => (name === 'merge rows' ? ([] as never) : call()),
  })
  await assert.rejects(
    committer.land([span(0, 100)], await fixture.encode(span(0, 100))),
    code('LOAD_UNCLEAR'),
  )
  assert.equal(committer.landed().get(blob), undefined)
})

test('old rows with the very times of a replay are noticed, and not left beside the new ones in silence', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await fixture.open('logs')
  const encoded = await fixture.encode(span(0, 100))
  await committer.land([span(0, 100)], encoded)
  await assert.rejects(committer.replace(span(0, 100), [encoded]), code('LOAD_UNCLEAR'))
})

test('recording where a blob begins leaves the batch that is being loaded unchanged', async (t) => {
  const fixture = await committerFixture(t)
  let isDown = true
  const committer = await fixture.open('logs', {
    step: async (name, call) => {
      const result = await call()
      if (name === 'load files' && isDown) throw new Error('unreachable')
      return result
    },
  })
  const encoded = await fixture.encode(span(0, 100))
  await assert.rejects(committer.land([span(0, 100)], encoded), /unreachable/)
  const start = { blob: 'logs/other', generation: 'g', start: 0, end: 50 }
  await committer.land([start], { files: [], rows: 0, rejected: 0, partial: 0 })
  isDown = false
  await committer.land([span(0, 100)], encoded)
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

for (const mode of ['copy-into', 'merge'] as const) {
  test(`a replay by ${mode} leaves one of each row where the table had two`, async (t) => {
    const fixture = await committerFixture(t)
    const committer = await fixture.open('logs', { mode })
    await committer.land([span(0, 100)], await fixture.encode(span(0, 100)))
    await fixture.warehouse.rows('INSERT INTO "lake"."logs"."logs" FROM "lake"."logs"."logs"')
    await committer.replace(span(0, 100), [await fixture.encode(span(0, 100), 'new')])
    assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100), 'new'))
  })
}

test('a staged file that somebody removes before it is loaded is uploaded again', async (t) => {
  const fixture = await committerFixture(t)
  let removals = 1
  const committer = await fixture.open('logs', {
    step: async (name, call) => {
      if (name === 'load files' && removals > 0) {
        removals -= 1
        await fixture.removeStaged('logs')
      }
      return call()
    },
  })
  await committer.land([span(0, 100)], await fixture.encode(span(0, 100)))
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})

test('the end of a run waits no longer than some seconds for a workspace that nobody reaches', async (t) => {
  const fixture = await committerFixture(t)
  const fired: (() => void)[] = []
  const clock = {
    now: () => Date.now(),
    sleep: async () => {},
    after: (_ms: number, fire: () => void) => {
      fired.push(fire)
      return () => {}
    },
  }
  let giveUp = (): void => {}
  const committer = await fixture.open('logs', {
    clock,
    retentionMs: 3_600_000,
    onClose: () => giveUp(),
    step: async (name, call) => {
      if (name !== 'list') return call()
      return new Promise((_resolve, reject) => {
        giveUp = () => reject(new DOMException('closed', 'AbortError'))
      })
    },
  })
  await committer.land([span(0, 10)], await fixture.encode(span(0, 10)))
  const closed = committer.close()
  await new Promise((resolve) => setImmediate(resolve))
  for (const fire of fired) fire()
  await closed
})

test('a load that adds a number of rows other than its files hold fails', async (t) => {
  const fixture = await committerFixture(t)
  const direct = directWarehouse(fixture.warehouse)
  const { files } = await fixture.encode(span(0, 100))
  for (const inserted of [9, 11]) {
    const copy = new CopyInto({
      warehouse: { ...direct, execute: async () => [{ num_inserted_rows: inserted }] },
      declaration: declarationOf('logs'),
      stagingFolder: '/Volumes/lake/logs/staging/logs',
      retry: {},
    })
    const named = files.map(({ bytes, rows }) => ({ name: 'day/a.parquet', bytes, rows }))
    const intent = { id: 'a', mode: 'copy-into', spans: [span(0, 100)], files: named } as const
    await assert.rejects(copy.load(intent), (error: unknown) => {
      assert.ok(code('LOAD_UNCLEAR')(error))
      assert.match(
        String(error),
        new RegExp(`added ${inserted} rows, expected 10, of logs/pg.json from 0 to 100`),
      )
      return true
    })
  }
})

test('a replay whose old rows are removed and whose files are gone holds its blob at the next start, with the range', async (t) => {
  const fixture = await committerFixture(t)
  const first = await fixture.open('logs')
  await first.land([span(0, 100)], await fixture.encode(span(0, 100)))
  let removals = 0
  const killed = await fixture.open('logs', {
    step: async (name, call) => {
      if (name === 'load files' && removals > 0) throw new Error('killed')
      const result = await call()
      if (name === 'remove the rows of a range') removals += 1
      return result
    },
  })
  await assert.rejects(killed.replace(span(20, 60), [await fixture.encode(span(20, 60), 'new')]), /killed/)
  await fixture.removeStaged('logs')
  assert.ok(code('LOAD_UNCLEAR')(await heldBecause(fixture)))
  assert.deepEqual(await fixture.rows('logs'), [...rowsOf(span(0, 20)), ...rowsOf(span(60, 100))])
})

test('a staged file of another size is not loaded: its batch begins anew', async (t) => {
  const fixture = await committerFixture(t)
  const killed = await fixture.open('logs', {
    step: (name, call) => (name === 'load files' ? Promise.reject(new Error('killed')) : call()),
  })
  await assert.rejects(killed.land([span(0, 100)], await fixture.encode(span(0, 100))), /killed/)
  const [name = ''] = await fixture.staged('logs')
  await fixture.putStaged('logs', name)
  const next = await fixture.open('logs')
  assert.equal(next.landed().get(blob), undefined)
  await next.land([span(0, 100)], await fixture.encode(span(0, 100)))
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 100)))
})
