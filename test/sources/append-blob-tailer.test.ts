import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTailraceError, TailraceError } from '../../src/errors.ts'
import type { Chunk } from '../../src/records.ts'
import { AppendBlobTailer } from '../../src/sources/append-blob-tailer.ts'
import { ByteBudget } from '../../src/sources/tailing/byte-budget.ts'
import { VirtualClock } from '../streams/virtual-clock.ts'
import { type Fault, ScriptedReader, unavailable } from './scripted-reader.ts'
import { drain, ended, tail } from './tail-blob.ts'

test('every byte comes once and in order, with any appends, short answers and failures', async () => {
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.integer({ min: 1, max: 90 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('touch' as const), bytes: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), bytes: fc.constant(0) }) },
  )
  const fault = fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constant('unavailable' as const) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 12 }) },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.option(fc.nat({ max: 100 }), { nil: undefined }),
      fc.array(step, { maxLength: 12 }),
      fc.array(fault, { maxLength: 20 }),
      fc.integer({ min: 1, max: 64 }),
      async (initial, steps, faults, rangeBytes) => {
        let written = 0
        const some = (count: number): Buffer =>
          Buffer.from(Array.from({ length: count }, () => 0x61 + (written++ % 26)))
        const reader = new ScriptedReader(initial === undefined ? undefined : some(initial))
        reader.faults.push(
          ...faults.map((one) => {
            if (one === 'unavailable') return unavailable()
            return one === undefined ? undefined : ({ kind: 'short', bytes: one } as const)
          }),
        )
        const script = steps.map(({ kind, bytes }) => () => {
          if (kind === 'append') reader.append(some(bytes))
          else if (kind === 'touch' && initial !== undefined) reader.touch()
        })
        const pauses = script.length + faults.length + 4
        const clock = new VirtualClock((pause) => {
          script[pause - 1]?.()
          if (pause > pauses) tailer.stop()
        })
        const tailer = new AppendBlobTailer({ reader, blobName: 'a.ndjson', clock, rangeBytes })
        const bytes = await drain(tailer)
        assert.equal(bytes.toString(), reader.content.toString())
        assert.equal(tailer.endedBy, 'stopped')
      },
    ),
    { numRuns: 300 },
  )
})

test('a request begins with the bytes read last, 64 at most', async () => {
  const reader = new ScriptedReader('0123456789')
  const { tailer } = tail(reader, [() => reader.append('abc')], { rangeBytes: 4 })
  assert.equal((await drain(tailer)).toString(), '0123456789abc')
  assert.deepEqual(
    reader.requests.slice(0, 4).map(({ offset, maxBytes }) => [offset, maxBytes]),
    [
      [0, 4],
      [0, 8],
      [0, 10],
      [0, 14],
    ],
  )
})

test('the condition is sent only after a read that reached the end', async () => {
  const reader = new ScriptedReader('0123456789')
  const { tailer } = tail(reader, [], { rangeBytes: 4 })
  await drain(tailer)
  const conditional = reader.requests.map(({ ifNoneMatch }) => ifNoneMatch !== undefined)
  assert.deepEqual(conditional.slice(0, 4), [false, false, false, true])
})

test('an answer that came short is asked for again at once, from the byte where it broke off', async () => {
  const reader = new ScriptedReader('0123456789')
  reader.faults.push({ kind: 'short', bytes: 3 }, { kind: 'short', bytes: 4 }, { kind: 'short', bytes: 9 })
  const { tailer, clock } = tail(reader, [])
  assert.equal((await drain(tailer)).toString(), '0123456789')
  assert.equal(clock.pauses.length, 2)
})

test('an answer that brings nothing new though there is more is a failure, and is asked for again after a pause', async () => {
  const reader = new ScriptedReader('0123456789')
  reader.faults.push({ kind: 'short', bytes: 3 }, { kind: 'short', bytes: 2 }, { kind: 'short', bytes: 3 })
  const { tailer, clock } = tail(reader, [() => {}, () => {}])
  assert.equal((await drain(tailer)).toString(), '0123456789')
  assert.equal(clock.pauses.length, 4)
})

test('polls of a quiet blob come ever less often up to a limit, and of one that grows at once more often', async () => {
  const reader = new ScriptedReader('abc')
  const grow = (): void => reader.append('d')
  const script = [() => reader.touch(), () => {}, () => {}, () => {}, grow]
  const { tailer, clock } = tail(reader, script, { maxPollMs: 3_000 })
  assert.equal((await drain(tailer)).toString(), 'abcd')
  assert.deepEqual(clock.pauses, [1_000, 1_500, 2_250, 3_000, 3_000, 1_000, 1_500])
  assert.equal(reader.requests.length, clock.pauses.length, 'one request per poll')
})

test('a blob whose content changed while its length and its instant did not ends as replaced', async () => {
  const content = 'x'.repeat(200)
  const reader = new ScriptedReader(content)
  const { tailer } = tail(reader, [() => reader.overwrite('y'.repeat(200)), () => reader.append('more')])
  assert.equal((await drain(tailer)).toString(), content)
  ended(tailer, 'replaced')
})

test('a healthy blob that is said to have no such byte, or not to have changed, is read on', async () => {
  const reader = new ScriptedReader('0123456789')
  reader.faults.push(undefined, { kind: 'answer', read: { kind: 'nothing-there' } }, undefined)
  reader.faults.push({ kind: 'answer', read: { kind: 'unchanged' } })
  const { tailer } = tail(reader, [() => {}, () => {}, () => {}], { rangeBytes: 4, readsAhead: 0 })
  assert.equal((await drain(tailer)).toString(), '0123456789')
  ended(tailer, 'stopped')
})

test('the ranges in memory stay within the budget, whoever holds them, and nothing of it is kept', async () => {
  const budget = new ByteBudget(3_000)
  let most = 0
  const contents = Array.from({ length: 5 }, (_, index) => Buffer.alloc(20_000 + index, index))
  await Promise.all(
    contents.map(async (content, index) => {
      const reader = new ScriptedReader(content)
      const { tailer } = tail(reader, [], { rangeBytes: 500, budget, follow: index % 2 === 0 })
      const parts: Buffer[] = []
      for await (const { bytes } of tailer as AsyncIterable<Chunk>) {
        most = Math.max(most, budget.heldBytes)
        parts.push(Buffer.from(bytes))
      }
      assert.ok(Buffer.concat(parts).equals(content))
    }),
  )
  assert.ok(most > 1_000 && most <= 3_000, `${most} bytes`)
  assert.equal(budget.heldBytes, 0)
})

test('a blob that is missing or empty is waited for', async () => {
  const reader = new ScriptedReader()
  const { tailer } = tail(reader, [() => {}, () => reader.append(''), () => {}, () => reader.append('abc')])
  assert.equal((await drain(tailer)).toString(), 'abc')
})

test('once: a missing blob ends as missing, an empty one at its end', async () => {
  const missing = tail(new ScriptedReader(), [], { follow: false }).tailer
  await drain(missing)
  ended(missing, 'missing')
  const empty = tail(new ScriptedReader(''), [], { follow: false }).tailer
  await drain(empty)
  ended(empty, 'end')
})

test('once: it ends where the blob ended at first sight, though the blob grows meanwhile', async () => {
  const reader = new ScriptedReader('0123456789')
  const read = reader.read.bind(reader)
  reader.read = async (...request) => {
    const answer = await read(...request)
    reader.append('x')
    return answer
  }
  const { tailer } = tail(reader, [], { follow: false, rangeBytes: 4 })
  assert.equal((await drain(tailer)).toString(), '0123456789')
  ended(tailer, 'end')
})

test('once: a blob that was read to its end ends at once', async () => {
  const { tailer, clock } = tail(new ScriptedReader('abc\n'), [], { follow: false, offset: 4 })
  assert.equal((await drain(tailer, 4)).length, 0)
  ended(tailer, 'end')
  assert.deepEqual(clock.pauses, [])
})

test('no byte from the end offset on is read, in either mode', async () => {
  for (const follow of [true, false]) {
    const reader = new ScriptedReader('0123456789')
    const { tailer } = tail(reader, [], { follow, offset: 2, endOffset: 7, rangeBytes: 3 })
    assert.equal((await drain(tailer, 2)).toString(), '23456')
    ended(tailer, 'end')
    assert.ok(reader.requests.every(({ offset, maxBytes }) => offset + maxBytes <= 7))
  }
})

test('following up to an end offset waits for the blob to reach it', async () => {
  const reader = new ScriptedReader('0123')
  const { tailer } = tail(reader, [() => reader.append('456789')], { endOffset: 6 })
  assert.equal((await drain(tailer)).toString(), '012345')
  ended(tailer, 'end')
})

test('a blob that was created again ends as replaced, whether it is longer or shorter', async () => {
  for (const content of ['0123456789 and longer', 'new']) {
    const reader = new ScriptedReader('0123456789')
    const { tailer } = tail(reader, [() => reader.recreate(content)])
    assert.equal((await drain(tailer)).toString(), '0123456789')
    ended(tailer, 'replaced')
  }
})

test('a blob that was created again before the first read is not read as the one before', async () => {
  const reader = new ScriptedReader('0123456789')
  const { tailer } = tail(reader, [], { createdAt: '20200101T000000Z', offset: 3 })
  assert.equal((await drain(tailer, 3)).length, 0)
  ended(tailer, 'replaced')
})

test('a blob that is shorter than what was read ends as replaced', async () => {
  const reader = new ScriptedReader('0123456789')
  const { tailer } = tail(reader, [() => reader.cutTo(4)])
  await drain(tailer)
  ended(tailer, 'replaced')
})

test('a range that was answered before a blob became shorter is asked for again', async () => {
  const before = 'a'.repeat(30)
  const now = `${'a'.repeat(20)}bbbbb`
  const reader = new ScriptedReader(now)
  const answer = (bytes: number): Fault => {
    const whole = {
      totalBytes: 30,
      etag: '"before"',
      createdAt: '20261124T084700Z',
      blobType: 'append',
    } as const
    return { kind: 'answer', read: { kind: 'bytes', bytes: Buffer.from(before.slice(0, bytes)), ...whole } }
  }
  // The requests for the second and the third range go out together, and the third one is answered first.
  reader.faults.push(answer(10), undefined, answer(30))
  const { tailer } = tail(reader, [], { rangeBytes: 10, readsAhead: 2 })
  assert.equal((await drain(tailer)).toString(), now)
})

test('why a blob became shorter is found out in spite of an outage', async () => {
  const reader = new ScriptedReader('0123456789'.repeat(20))
  const { tailer } = tail(reader, [
    () => {
      reader.cutTo(100)
      reader.faults.push(undefined, unavailable(), unavailable())
    },
    () => {},
    () => {},
    () => {},
  ])
  await drain(tailer)
  ended(tailer, 'replaced')
})

test('a blob that is deleted after it was read ends as missing', async () => {
  const reader = new ScriptedReader('0123456789')
  const { tailer } = tail(reader, [() => reader.remove()])
  assert.equal((await drain(tailer)).toString(), '0123456789')
  ended(tailer, 'missing')
})

test('a refusal of storage ends the stream with its error', async () => {
  const reader = new ScriptedReader('abc')
  reader.faults.push({ kind: 'error', error: new TailraceError('SOURCE_DENIED', 'scripted') })
  const { tailer } = tail(reader, [])
  await assert.rejects(drain(tailer), (error) => isTailraceError(error, 'SOURCE_DENIED'))
})

test('a stop while it waits for storage ends the stream in order', async () => {
  const reader = new ScriptedReader('0123456789')
  const never = new Promise<never>(() => {})
  const { tailer } = tail(reader, [], {
    reader: {
      container: 'logs',
      read: (_name, { signal }) =>
        Promise.race([
          never,
          new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
        ]),
      listPage: () => reader.listPage(),
    },
  })
  const read = drain(tailer)
  await new Promise((resolve) => setImmediate(resolve))
  tailer.stop()
  assert.equal((await read).length, 0)
  ended(tailer, 'stopped')
})

test('destroying the stream aborts the request that is under way', async () => {
  let aborted = false
  const { tailer } = tail(new ScriptedReader(), [], {
    reader: {
      container: 'logs',
      read: (_name, { signal }) =>
        new Promise((_, reject) =>
          signal?.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason)
          }),
        ),
      listPage: () => new ScriptedReader().listPage(),
    },
  })
  tailer.resume()
  await new Promise((resolve) => setImmediate(resolve))
  tailer.destroy()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(aborted, true)
})

test('readNext returns complete lines, parsed and with their places, and goes on exactly there', async () => {
  const reader = new ScriptedReader('{"a":1}\r\n\nnot json\n{"id":12345678901234567890}\n{"op')
  const { tailer } = tail(reader, [() => reader.append('en":true}\n')])
  const first = await tailer.readNext()
  assert.deepEqual(first.records, [
    { offset: 0, length: 9, text: '{"a":1}', value: { a: 1 } },
    { offset: 10, length: 9, text: 'not json', value: undefined },
    { offset: 19, length: 28, text: '{"id":12345678901234567890}', value: { id: 12345678901234567890n } },
  ])
  assert.equal(first.nextOffset, 47)
  const second = await tailer.readNext()
  assert.deepEqual(second.records, [{ offset: 47, length: 14, text: '{"open":true}', value: { open: true } }])
  assert.equal(second.nextOffset, 61)
})

test('readNext returns nothing at the end, and leaves an unterminated rest unread', async () => {
  const { tailer } = tail(new ScriptedReader('{"a":1}\n{"a"'), [], { follow: false })
  assert.equal((await tailer.readNext()).nextOffset, 8)
  assert.deepEqual(await tailer.readNext(), { records: [], nextOffset: 8 })
})

test('readNext, started again from its next offset at any time, returns every line once', async () => {
  const lines = fc.array(fc.string({ unit: fc.constantFrom('a', 'ä', '"', '{', '}', ' ') }), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(lines, fc.integer({ min: 1, max: 20 }), async (texts, rangeBytes) => {
      const content = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      const reader = new ScriptedReader(content)
      const found: string[] = []
      for (let offset = 0; offset < content.length; ) {
        const { tailer } = tail(reader, [], { follow: false, offset, rangeBytes })
        const { records, nextOffset } = await tailer.readNext()
        for (const record of records) {
          assert.equal(
            content.toString('utf8', record.offset, record.offset + record.length),
            `${record.text}\n`,
          )
          found.push(record.text)
        }
        assert.ok(nextOffset > offset)
        offset = nextOffset
      }
      assert.deepEqual(
        found,
        texts.filter((text) => text.trim() !== ''),
      )
    }),
    { numRuns: 60 },
  )
})

test('a blob that no longer begins with its known head is another one, before a byte of it is handed on', async () => {
  const reader = new ScriptedReader('other content of the same instant\n')
  const { tailer } = tail(reader, [], { head: Buffer.from('known head'), offset: 0 })
  assert.equal((await drain(tailer)).length, 0)
  ended(tailer, 'replaced')
})
