import assert from 'node:assert/strict'
import { Transform, type TransformCallback } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTailraceError } from '../../../src/errors.ts'
import type { EntryBlock } from '../../../src/records.ts'
import { StreamTransform } from '../../../src/streams/custom/stream-transform.ts'
import type { PlacedRecord } from '../../../src/transforms/record-transform.ts'
import { placesOf, recordBlock, rejectedEntry, textsOf } from '../record-blocks.ts'
import { through } from '../through.ts'

type Work = (this: Transform, placed: PlacedRecord, done: TransformCallback) => void

/** A user's Transform from its two methods, and how often one was made. */
function factory(work: Work, flush?: (this: Transform, done: TransformCallback) => void) {
  const made: Transform[] = []
  const stream = (): Transform => {
    const one = new Transform({
      objectMode: true,
      transform(placed: PlacedRecord, _encoding, done) {
        work.call(this, placed, done)
      },
      ...(flush === undefined ? {} : { flush }),
    })
    made.push(one)
    return one
  }
  return { stream, made }
}

const apply = (stream: () => Transform, ...blocks: EntryBlock[]): Promise<EntryBlock[]> =>
  through<EntryBlock>(new StreamTransform({ stream }, 'primary'), blocks)

test('all results that a Transform pushes before it calls back belong to its record, for any number and delay', async () => {
  const counts = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(counts, fc.boolean(), async (perRecord, later) => {
      const { stream } = factory(function ({ record, place }, done) {
        const work = (): void => {
          for (let copy = 0; copy < Number(record.count); copy += 1) {
            this.push({ record: { id: record.id as number, copy }, place })
          }
          done()
        }
        if (later) setImmediate(work)
        else work()
      })
      const input = recordBlock(perRecord.map((count, id) => JSON.stringify({ id, count })))
      const output = await apply(stream, input)
      const expected = perRecord.flatMap((count, id) =>
        Array.from({ length: count }, (_, copy) => ({ id, copy })),
      )
      assert.deepEqual(
        textsOf(output).map((text) => JSON.parse(text)),
        expected,
      )
      assert.deepEqual(
        placesOf(output),
        expected.map(({ id, copy }) => [input.entries[id]?.offset, copy]),
      )
      assert.deepEqual(
        output.map(({ span }) => span),
        [input.span],
      )
    }),
    { numRuns: 50 },
  )
})

test('a Transform may make 1,000 records of one', async () => {
  const { stream } = factory(function ({ place }, done) {
    for (let id = 0; id < 1000; id += 1) this.push({ record: { id }, place })
    done()
  })
  const output = await apply(stream, recordBlock(['{"a":1}', '{"a":2}']))
  assert.equal(textsOf(output).length, 2000)
  assert.deepEqual(placesOf(output).slice(998, 1002), [
    [0, 998],
    [0, 999],
    [8, 0],
    [8, 1],
  ])
})

test('long integers go through a Transform exactly, and the record knows its place', async () => {
  const places: unknown[] = []
  const { stream } = factory((placed, done) => {
    places.push(placed.place)
    done(null, placed)
  })
  const output = await apply(stream, recordBlock(['{"id":-6883023751393440299}'], 31))
  assert.deepEqual(textsOf(output), ['{"id":-6883023751393440299}'])
  assert.deepEqual(places, [{ pipeline: 'primary', blob: 'logs/server.ndjson', offset: 31 }])
})

test('a Transform that pushes after it called back ends the stream with TRANSFORM_HELD_RECORD', async () => {
  const { stream } = factory(function (placed, done) {
    done()
    setImmediate(() => this.push(placed))
  })
  await assert.rejects(
    through(new StreamTransform({ stream }, 'primary'), lateEnd(recordBlock(['{"a":1}']))),
    (error) => isTailraceError(error, 'TRANSFORM_HELD_RECORD'),
  )
})

test('a Transform that gives each record out with the next one ends the stream at the second record', async () => {
  let held: PlacedRecord | undefined
  const { stream } = factory((placed, done) => {
    const previous = held
    held = placed
    done(null, previous)
  })
  const stage = new StreamTransform({ stream }, 'primary')
  const input = [recordBlock(['{"a":1}', '{"a":2}', '{"a":3}'])]
  await assert.rejects(through(stage, input), (error) => isTailraceError(error, 'TRANSFORM_HELD_RECORD'))
})

test('a Transform that keeps records until its flush ends the stream with TRANSFORM_HELD_RECORD', async () => {
  const held: PlacedRecord[] = []
  const { stream } = factory(
    (placed, done) => {
      held.push(placed)
      done()
    },
    function (done) {
      for (const placed of held) this.push(placed)
      done()
    },
  )
  await assert.rejects(apply(stream, recordBlock(['{"a":1}'])), (error) =>
    isTailraceError(error, 'TRANSFORM_HELD_RECORD'),
  )
})

test('a Transform that fails makes its record a reject, is replaced, and the stream goes on', async () => {
  const failures: Work[] = [
    (_placed, done) => done(new RangeError('too far\nand more')),
    function () {
      this.destroy(new RangeError('too far'))
    },
    () => {
      throw new RangeError('too far')
    },
    function (placed) {
      this.push(placed)
      setImmediate(() => this.destroy(new RangeError('too far')))
    },
  ]
  for (const [number, fail] of failures.entries()) {
    const { stream, made } = factory(function (placed, done) {
      if (placed.record.a === 2) fail.call(this, placed, done)
      else done(null, placed)
    })
    const output = await apply(
      stream,
      recordBlock(['{"a":1}', '{"a":2}', '{"a":3}']),
      recordBlock(['{"a":4}'], 24),
    )
    assert.deepEqual(textsOf(output), ['{"a":1}', '{"a":2}', '{"a":3}', '{"a":4}'], `failure ${number}`)
    assert.deepEqual(
      output.flatMap(({ entries }) => entries.map(({ reject, note }) => [reject, note])),
      [
        [undefined, undefined],
        ['transform_error', 'RangeError: too far'],
        [undefined, undefined],
        [undefined, undefined],
      ],
      `failure ${number}`,
    )
    assert.equal(made.length, 2)
  }
})

test('a Transform that fails between two records does not keep the stream from ending', async () => {
  const { stream } = factory(function (placed, done) {
    done(null, placed)
    setImmediate(() => this.destroy(new Error('late')))
  })
  const output = await through<EntryBlock>(
    new StreamTransform({ stream }, 'primary'),
    lateEnd(recordBlock(['{"a":1}'])),
  )
  assert.deepEqual(textsOf(output), ['{"a":1}'])
})

test('a failure in the flush of a Transform fails the stream', async () => {
  const { stream } = factory(
    (placed, done) => done(null, placed),
    (done) => done(new Error('cannot flush')),
  )
  await assert.rejects(apply(stream, recordBlock(['{"a":1}'])), /cannot flush/)
})

test('rejected entries pass by the Transform untouched', async () => {
  const { stream } = factory(() => assert.fail('the Transform was given a reject'))
  const entry = rejectedEntry('LOG: x', 0)
  const output = await apply(stream, { span: recordBlock(['{}']).span, entries: [entry] })
  assert.deepEqual(output[0]?.entries, [entry])
})

test("destroying the stage destroys the user's Transform", async () => {
  const { stream, made } = factory((placed, done) => done(null, placed))
  new StreamTransform({ stream }, 'primary').destroy()
  assert.equal(made[0]?.destroyed, true)
})

/** One block, and an end that comes some turns of the event loop later. */
async function* lateEnd(block: EntryBlock): AsyncGenerator<EntryBlock> {
  yield block
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('the blocks of a unit stay open, and one that begins again says so', async () => {
  const { stream } = factory((_placed, done) => done())
  const block = recordBlock(['{"a":1}'])
  const inputs: EntryBlock[] = [{ ...block, open: true }, { ...block, restart: true }, block]
  assert.deepEqual(
    await apply(stream, ...inputs),
    inputs.map((input) => ({ ...input, entries: [] })),
  )
})
