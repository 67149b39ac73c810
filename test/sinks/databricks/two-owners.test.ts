import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TailraceError } from '../../../src/errors.ts'
import type { Span } from '../../../src/records.ts'
import { CommitFencedError } from '../../../src/sinks/commit-fence.ts'
import type { TableCommitter } from '../../../src/sinks/table-committer.ts'
import { blob, type CommitterFixture, committerFixture, rowsOf, span } from './committer-fixture.ts'

const mode = 'transaction'

async function opened(fixture: CommitterFixture, table: string): ReturnType<CommitterFixture['open']> {
  return fixture.open(table, { mode })
}

test('a process that another one has overtaken is fenced, learns the offsets, and goes on after a refresh', async (t) => {
  const fixture = await committerFixture(t)
  const old = await opened(fixture, 'events')
  await old.land([span(0, 20)], await fixture.encode(span(0, 20)))
  const newer = await opened(fixture, 'events')
  await newer.land([span(20, 50)], await fixture.encode(span(20, 50)))
  const late = await fixture.encode(span(20, 70))
  await assert.rejects(
    old.land([span(20, 70)], late),
    (error) => error instanceof CommitFencedError && error.fenced[0]?.landedTo === 50,
  )
  assert.equal(old.landed().get(blob), 50)
  await old.refresh?.()
  await old.land([span(50, 70)], await fixture.encode(span(50, 70)))
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 70 }))
})

test('an older owner of a blob is fenced even at the right offset, until it has refreshed', async (t) => {
  const fixture = await committerFixture(t)
  const old = await opened(fixture, 'events')
  await old.land([span(0, 20)], await fixture.encode(span(0, 20)))
  const newer = await opened(fixture, 'events')
  await newer.land([span(20, 40)], await fixture.encode(span(20, 40)))
  await assert.rejects(old.land([span(20, 40)], await fixture.encode(span(20, 40))), CommitFencedError)
  await assert.rejects(old.land([span(40, 60)], await fixture.encode(span(40, 60))), CommitFencedError)
  await old.refresh?.()
  await old.land([span(40, 60)], await fixture.encode(span(40, 60)))
  await assert.rejects(newer.land([span(40, 60)], await fixture.encode(span(40, 60))), CommitFencedError)
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 60 }))
})

for (const known of [false, true]) {
  test(`of two transactions that land the same range of a ${known ? 'known' : 'new'} blob, the one that commits second adds nothing`, async (t) => {
    const fixture = await committerFixture(t)
    const from = known ? 20 : 0
    const first = await opened(fixture, 'events')
    if (known) await first.land([span(0, from)], await fixture.encode(span(0, from)))
    const second = await opened(fixture, 'events')
    const range = span(from, 60)
    const encoded = await Promise.all([fixture.encode(range), fixture.encode(range)])
    const hold = fixture.warehouse.holdNext(/^BEGIN ATOMIC[\s\S]*INSERT INTO `lake`.`logs`.`events`/)
    const orphan = first.land([range], encoded[0])
    await hold.reached
    await second.land([range], encoded[1])
    hold.release()
    // Refused for its conflict, it is sent again, and finds the offset moved.
    await assert.rejects(orphan, CommitFencedError)
    await assert.rejects(first.land([range], encoded[0]), CommitFencedError)
    assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 60 }))
  })
}

test('a batch whose reply is lost is found landed by one read of the offsets, and not landed again', async (t) => {
  const fixture = await committerFixture(t)
  const calls: string[] = []
  const committer = await fixture.open('events', {
    mode,
    step: async (name, call) => {
      calls.push(name)
      const result = await call()
      if (name === 'land a batch') throw lostReply()
      return result
    },
  })
  calls.length = 0
  await committer.land([span(0, 50)], await fixture.encode(span(0, 50)))
  assert.deepEqual(calls, ['put', 'land a batch', 'read the offsets'])
  assert.equal(committer.landed().get(blob), 50)
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 50 }))
})

test('a batch whose reply is lost before it was executed is landed once when it is repeated', async (t) => {
  const fixture = await committerFixture(t)
  let lost = 1
  const committer = await fixture.open('events', {
    mode,
    step: async (name, call) => {
      if (name === 'land a batch' && lost-- > 0) throw lostReply()
      return call()
    },
  })
  const encoded = await fixture.encode(span(0, 50))
  await assert.rejects(committer.land([span(0, 50)], encoded), /reply is lost/)
  await committer.land([span(0, 50)], encoded)
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 50 }))
  assert.equal((await fixture.staged('events')).length, 1, 'the file is staged once')
})

test('a process that begins the offsets late moves none back that another one has landed meanwhile', async (t) => {
  const fixture = await committerFixture(t)
  const earlier = await fixture.open('events', { mode: 'replace-where', isManaged: true })
  await earlier.land([span(0, 30)], await fixture.encode(span(0, 30)))
  const late = await fixture.open('events', {
    mode,
    step: async (name, call) => {
      if (name === 'begin the offsets') {
        const other = await opened(fixture, 'events')
        await other.land([span(30, 60)], await fixture.encode(span(30, 60)))
      }
      return call()
    },
  })
  assert.equal(late.landed().get(blob), 60)
  await late.refresh?.()
  await late.land([span(60, 90)], await fixture.encode(span(60, 90)))
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 90 }))
})

for (const earlier of ['replace-where', 'merge'] as const) {
  for (const restarts of [false, true]) {
    test(`rows that a killed process adds by ${earlier}, after its pipeline has begun to land by transactions${restarts ? ' and was started again' : ''}, are there once`, async (t) => {
      const fixture = await committerFixture(t)
      const killed = await fixture.open('events', { mode: earlier, isManaged: true })
      await killed.land([span(0, 30)], await fixture.encode(span(0, 30)))
      const hold = fixture.warehouse.holdNext(
        /^(?:INSERT INTO .* REPLACE WHERE|MERGE INTO .*from_json\(:rows)/s,
      )
      const orphan = killed.land([span(30, 60)], await fixture.encode(span(30, 60), 'early')).catch(() => {})
      await hold.reached
      const options = { mode, orphanMs: 600_000 } as const
      const first = await fixture.open('events', options)
      const next = restarts ? await fixture.open('events', options) : first
      hold.release()
      await orphan
      assert.equal(next.landed().get(blob), 30)
      await next.land([span(30, 80)], await fixture.encode(span(30, 80)))
      assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 80 }))
    })
  }
}

test('an append-only table takes transactions, too, also at first', async (t) => {
  const fixture = await committerFixture(t)
  let refusals = 0
  const committer = await fixture.open('events', {
    mode,
    orphanMs: 600_000,
    step: async (name, call) => {
      if (name !== 'land a batch' || refusals > 0) return call()
      refusals += 1
      throw new TailraceError('STATEMENT_FAILED', 'The table is append-only.', {
        context: { errorClass: 'DELTA_CANNOT_MODIFY_APPEND_ONLY', sqlState: '42809', executed: 'failed' },
      })
    },
  })
  for (const range of [span(0, 30), span(30, 60)]) await committer.land([range], await fixture.encode(range))
  assert.equal(refusals, 1)
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 60 }))
})

test('of two processes that begin the offsets at the same moment one is refused, so that no offset is there twice', async (t) => {
  const fixture = await committerFixture(t)
  const earlier = await fixture.open('events', { mode: 'replace-where', isManaged: true })
  await earlier.land([span(0, 30)], await fixture.encode(span(0, 30)))
  const hold = fixture.warehouse.holdNext(/^BEGIN ATOMIC/)
  const late = opened(fixture, 'events')
  await hold.reached
  const first = await opened(fixture, 'events')
  hold.release()
  await assert.rejects(late, /CONCURRENT/)
  await first.land([span(30, 60)], await fixture.encode(span(30, 60)))
  const [found] = await fixture.warehouse.rows(
    'SELECT count(*)::INTEGER AS n FROM "lake"."logs"."tailrace_offsets" WHERE target <> \'\'',
  )
  assert.equal(found?.n, 2, 'the offset of the blob, and the pipeline')
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 60 }))
})

test('a staged file that somebody removes before its transaction is uploaded again', async (t) => {
  for (const one of ['transaction', 'replace-where'] as const) {
    const fixture = await committerFixture(t)
    let removals = 1
    const committer = await fixture.open('events', {
      mode: one,
      step: async (name, call) => {
        if (/land a batch|replace the rows/.test(name) && removals-- > 0) await fixture.removeStaged('events')
        return call()
      },
    })
    await committer.land([span(0, 50)], await fixture.encode(span(0, 50)))
    assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 50 }))
  }
})

test('two processes with two state directories that land by replace-where leave every row once', async (t) => {
  const fixture = await committerFixture(t)
  const options = { mode: 'replace-where', recoversOffsets: true } as const
  const first = await fixture.open('events', options)
  await fixture.forget('events')
  const second = await fixture.open('events', options)
  await first.land([span(0, 70)], await fixture.encode(span(0, 70)))
  await second.land([span(0, 50)], await fixture.encode(span(0, 50)))
  await first.land([span(70, 100)], await fixture.encode(span(70, 100)))
  const range = span(50, 120)
  const hold = fixture.warehouse.holdNext(/REPLACE WHERE/)
  const late = second.land([range], await fixture.encode(range))
  await hold.reached
  await first.land([span(100, 120)], await fixture.encode(span(100, 120)))
  hold.release()
  await assert.rejects(late, /CONCURRENT/)
  await second.land([range], await fixture.encode(range))
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 120 }))
})

test('two processes that land a growing document by replace-where, each in parts of its own, leave every record once', async (t) => {
  const fixture = await committerFixture(t)
  const options = { mode: 'replace-where', recoversOffsets: true } as const
  const first = await fixture.open('events', options)
  await fixture.forget('events')
  const second = await fixture.open('events', options)
  const land = async (committer: TableCommitter, range: Span, records: readonly string[]): Promise<void> => {
    await committer.land([range], await fixture.encodeDocument(range, records))
  }
  const isFencedAt = (landedTo: number) => (error: unknown) =>
    error instanceof CommitFencedError && error.fenced.length === 1 && error.fenced[0]?.landedTo === landedTo

  await land(first, span(0, 40), ['a', 'b'])
  await land(second, span(0, 60), ['a', 'b', 'c'])
  assert.deepEqual(await fixture.rows('events'), ['0 a 0 0', '0 b 0 0', '0 c 0 0'])
  // The part that the first one adds is in the row of the whole.
  await assert.rejects(land(first, span(40, 60), ['c']), isFencedAt(60))
  assert.equal(first.landed().get(blob), 60)
  await land(first, span(60, 80), ['d'])
  await land(first, span(80, 90), ['e'])
  await second.refresh?.()
  assert.equal(second.landed().get(blob), 60, 'nobody has fenced the second process so far')
  // It has read the document before the last record was there.
  await assert.rejects(land(second, span(60, 85), ['d', 'e']), isFencedAt(90))
  await land(first, span(90, 100), ['f'])
  await second.refresh?.()
  assert.equal(second.landed().get(blob), 100)
  await land(second, span(100, 110), ['g'])
  assert.deepEqual(
    (await fixture.rows('events')).map((row) => row.split(' ')[1]),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
  )
})

test('an older part of a document that another process has landed longer is fenced in a batch, and the other ranges land', async (t) => {
  const fixture = await committerFixture(t)
  const options = { mode: 'replace-where', recoversOffsets: true } as const
  const first = await fixture.open('events', options)
  await fixture.forget('events')
  const second = await fixture.open('events', options)
  await first.land([span(0, 60)], await fixture.encodeDocument(span(0, 60), ['a', 'b', 'c']))
  const other = { blob: 'logs/other.json', generation: blob.generation, start: 0, end: 50 }
  const spans = [span(0, 40), other]
  const encoded = [await fixture.encodeDocument(span(0, 40), ['a', 'b']), await fixture.encode(other)]
  const both = {
    ...encoded[1]!,
    files: encoded.flatMap(({ files }) => files),
    rows: encoded.reduce((sum, { rows }) => sum + rows, 0),
  }
  await assert.rejects(
    second.land(spans, both),
    (error) =>
      error instanceof CommitFencedError &&
      error.fenced.map(({ span: one }) => one.blob).join() === blob.blob,
  )
  assert.equal(second.landed().get(other), undefined)
  await second.land([other], encoded[1]!)
  assert.equal(second.landed().get(other), 50)
  assert.equal((await fixture.rows('events')).length, 3 + 5)
})

test('units whose ranges another process has landed in other parts by replace-where are landed before, and change no row', async (t) => {
  const fixture = await committerFixture(t)
  const options = { mode: 'replace-where', recoversOffsets: true } as const
  const units = await fixture.open('events', options)
  await fixture.forget('events')
  const other = await fixture.open('events', options)
  const range = span(0, 40)
  const unit = await fixture.storeUnit('events', [range], [await fixture.encodeDocument(range, ['a', 'b'])])
  await other.land([span(0, 60)], await fixture.encodeDocument(span(0, 60), ['a', 'b', 'c']))
  const receipt = await units.landUnits?.([unit])
  assert.deepEqual(receipt?.outcomes, ['landed-before'])
  assert.equal((await fixture.rows('events')).length, 3)
})

for (const restarts of [false, true]) {
  test(`a late REPLACE WHERE shortens no document that ${restarts ? 'the next process' : 'a pipeline that lands by transactions now'} has landed longer`, async (t) => {
    const fixture = await committerFixture(t)
    const earlier = { mode: 'replace-where', isManaged: true, recoversOffsets: true } as const
    const killed = await fixture.open('events', earlier)
    const hold = fixture.warehouse.holdNext(/REPLACE WHERE/)
    const orphan = killed
      .land([span(0, 40)], await fixture.encodeDocument(span(0, 40), ['a', 'b']))
      .catch(() => {})
    await hold.reached
    const next = restarts ? await fixture.open('events', earlier) : await opened(fixture, 'events')
    await next.land([span(0, 60)], await fixture.encodeDocument(span(0, 60), ['a', 'b', 'c']))
    hold.release()
    await orphan
    assert.deepEqual(await fixture.rows('events'), ['0 a 0 0', '0 b 0 0', '0 c 0 0'])
  })
}

test('a process that lands by transactions stops when somebody restores the offsets table meanwhile, and lands nothing again', async (t) => {
  const fixture = await committerFixture(t)
  const committer = await opened(fixture, 'events')
  await committer.land([span(0, 20)], await fixture.encode(span(0, 20)))
  await committer.land([span(20, 50)], await fixture.encode(span(20, 50)))
  await fixture.warehouse.changedByOthers(
    'lake.logs.tailrace_offsets',
    'RESTORE',
    `UPDATE "lake"."logs"."tailrace_offsets" SET landed_to = 20 WHERE source_blob <> ''`,
  )
  const setBack = { code: 'OFFSETS_SET_BACK' }
  await assert.rejects(committer.land([span(50, 70)], await fixture.encode(span(50, 70))), setBack)
  await assert.rejects(async () => committer.refresh?.(), setBack)
  assert.deepEqual(await fixture.rows('events'), rowsOf({ start: 0, end: 50 }))
})

function lostReply(): TailraceError {
  return new TailraceError('WAREHOUSE_UNAVAILABLE', 'the reply is lost', { context: { executed: 'unknown' } })
}
