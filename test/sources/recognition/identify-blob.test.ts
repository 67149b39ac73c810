import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTailraceError } from '../../../src/errors.ts'
import type { GenerationMark } from '../../../src/records.ts'
import { isFramingOpen } from '../../../src/sources/recognition/framing.ts'
import {
  type IdentifiedBlob,
  type IdentifyOptions,
  identifyBlob,
  type KnownGeneration,
  markOf,
} from '../../../src/sources/recognition/identify-blob.ts'
import { ScriptedReader } from '../scripted-reader.ts'

const blob = 'logs/a'
const instant = '20261124T084700Z'
const laterInstant = '20261124T090000Z'

async function identified(
  reader: ScriptedReader,
  known: readonly KnownGeneration[] = [],
  coldStart: IdentifyOptions['coldStart'] = 'earliest',
): Promise<IdentifiedBlob> {
  const found = await identifyBlob(reader, 'a', { known, coldStart })
  assert.equal(found.kind, 'found')
  return found as IdentifiedBlob
}

/** What is remembered of a blob that was read up to an offset. */
async function remembered(reader: ScriptedReader, offset: number): Promise<KnownGeneration> {
  const first = await identified(reader)
  const before = reader.content.subarray(Math.max(0, offset - 64), offset)
  const source = { blob, generation: first.generation }
  return { ...source, offset, mark: markOf(source, first, { offset, before }) }
}

test('a blob of which nothing is known begins at its start, or for latest at its end', async () => {
  const reader = new ScriptedReader('a\nb')
  const earliest = await identified(reader)
  assert.deepEqual(
    [earliest.recognition, earliest.generation, earliest.offset, earliest.insideLine],
    ['begins', instant, 0, false],
  )
  const latest = await identified(reader, [], 'latest')
  assert.deepEqual([latest.offset, latest.insideLine, latest.before.toString()], [3, true, 'a\nb'])
  const whole = await identified(new ScriptedReader('a\nb\n'), [], 'latest')
  assert.deepEqual([whole.offset, whole.insideLine], [4, false])
})

test('a missing blob is missing, and one is empty while it has too few bytes to show its framing', async () => {
  const options = { known: [], coldStart: 'latest' } as const
  assert.deepEqual(await identifyBlob(new ScriptedReader(), 'a', options), { kind: 'missing', what: 'blob' })
  for (const content of ['', '{"rec', Buffer.from([0x1f])])
    assert.deepEqual(await identifyBlob(new ScriptedReader(content), 'a', options), { kind: 'empty' })
})

test('a blob that only grew is the generation it was, however far it was read', async () => {
  const bytes = fc
    .uint8Array({ minLength: 1, maxLength: 600 })
    .map((array) => Buffer.from(array))
    .filter((content) => !isFramingOpen(content))
  await fc.assert(
    fc.asyncProperty(bytes, bytes, fc.nat(), async (content, more, place) => {
      const reader = new ScriptedReader(content)
      const known = await remembered(reader, place % (content.length + 1))
      reader.append(more)
      const found = await identified(reader, [known])
      assert.deepEqual(
        [found.recognition, found.generation, found.offset, found.resume],
        ['goes-on', instant, known.offset, undefined],
      )
    }),
    { numRuns: 200 },
  )
})

test('a blob whose remembered bytes changed is another generation, though its creation instant is the same', async () => {
  const content = Buffer.from('{"line":1}\n'.repeat(100))
  for (const changedAt of [0, 200, 1_050, 1_099]) {
    const reader = new ScriptedReader(content)
    const known = await remembered(reader, content.length)
    const other = Buffer.from(content)
    other[changedAt] = 0x21
    reader.overwrite(Buffer.concat([other, Buffer.from('and more')]))
    const found = await identified(reader, [known])
    assert.deepEqual(
      [found.recognition, found.generation, found.offset],
      ['replaced', `${instant}.2`, 0],
      `byte ${changedAt}`,
    )
  }
})

test('a blob shorter than what has landed is another generation, also when nothing else is remembered', async () => {
  const reader = new ScriptedReader('short\n')
  for (const generation of [instant, `${instant}.2`]) {
    const found = await identified(reader, [{ blob, generation, offset: 100, mark: undefined }])
    assert.equal(found.recognition, 'replaced')
    assert.equal(found.generation, generation === instant ? `${instant}.2` : `${instant}.3`)
  }
})

test('a blob of another instant is another generation, unless its remembered bytes are the same', async () => {
  const reader = new ScriptedReader('0123456789\n')
  const known = await remembered(reader, 11)
  reader.recreate('another content\n')
  const replaced = await identified(reader, [known])
  assert.deepEqual([replaced.recognition, replaced.generation], ['replaced', laterInstant])

  reader.recreate('0123456789\nmore\n')
  const copied = await identified(reader, [known])
  assert.deepEqual([copied.recognition, copied.generation, copied.offset], ['copied', instant, 11])
  const mark = { ...known.mark, createdAt: laterInstant } as GenerationMark
  assert.equal((await identified(reader, [{ ...known, mark }])).recognition, 'goes-on')

  const withoutMark = await identified(reader, [{ ...known, mark: undefined }])
  assert.deepEqual([withoutMark.recognition, withoutMark.generation], ['replaced', laterInstant])
})

test('of several generations of one instant, the blob is the last one', async () => {
  const reader = new ScriptedReader('first\nsecond\n')
  const known = [instant, `${instant}.2`, `${instant}.10`].map((generation, index) => ({
    blob,
    generation,
    offset: index + 1,
    mark: undefined,
  }))
  assert.equal((await identified(reader, known)).generation, `${instant}.10`)
  reader.overwrite('')
  reader.append('x')
  assert.equal((await identified(reader, known)).generation, `${instant}.11`)
})

test('a blob that changes between two reads is identified again', async () => {
  const changes: readonly ((reader: ScriptedReader) => void)[] = [
    (reader) => reader.remove(),
    (reader) => reader.recreate('another\n'),
    (reader) => reader.recreate('as long as before\n'),
    (reader) => void reader.faults.push({ kind: 'short', bytes: 3 }),
  ]
  for (const change of changes) {
    const reader = new ScriptedReader('0123456789\n')
    const known = await remembered(reader, 11)
    const read = reader.read.bind(reader)
    let reads = 0
    reader.read = async (...request) => {
      reads += 1
      if (reads === 2) change(reader)
      return read(...request)
    }
    await assert.rejects(identified(reader, [known]), (error) => isTailraceError(error, 'SOURCE_UNAVAILABLE'))
  }
})

test('a blob with the instant of an earlier generation is that one, also when a later one has landed', async () => {
  const reader = new ScriptedReader('0123456789\n')
  const known = await remembered(reader, 11)
  const later = { blob, generation: laterInstant, offset: 5, mark: undefined }
  const found = await identified(reader, [known, later])
  assert.deepEqual([found.recognition, found.generation, found.offset], ['goes-on', instant, 11])
})

test('a blob of another instant is no copy unless it landed in part, and head and tail are remembered', async () => {
  const content = '0123456789\n'
  const reader = new ScriptedReader(content)
  const known = await remembered(reader, 11)
  reader.recreate(content)
  const mark = known.mark!
  for (const lacking of [
    { ...known, mark: { ...mark, head: undefined } },
    { ...known, mark: { ...mark, tail: undefined } },
    { ...known, offset: 0 },
  ])
    assert.equal((await identified(reader, [lacking])).recognition, 'replaced')
  assert.equal((await identified(reader, [known])).recognition, 'copied')
})

test('a blob shorter than the place up to which it was read is another generation', async () => {
  const reader = new ScriptedReader('0123456789\n')
  const { mark, ...known } = await remembered(reader, 11)
  reader.cutTo(7)
  const found = await identified(reader, [{ ...known, offset: 5, mark: { ...mark!, head: undefined } }])
  assert.deepEqual([found.recognition, found.offset], ['replaced', 0])
})

test('a blob that replaced a landed one is read from its start, with cold start latest too', async () => {
  const reader = new ScriptedReader('one\ntwo\n')
  const known = await remembered(reader, 8)
  reader.recreate('three\nfour\nfive\n')
  const found = await identified(reader, [known], 'latest')
  assert.deepEqual([found.recognition, found.offset], ['replaced', 0])
})

test('a head that breaks off is no evidence of another blob: the identification is to be repeated', async () => {
  const reader = new ScriptedReader(`${'x'.repeat(300)}\n`)
  const known = await remembered(reader, 301)
  reader.faults.push({ kind: 'short', bytes: 20 })
  await assert.rejects(identified(reader, [known]), (error) => isTailraceError(error, 'SOURCE_UNAVAILABLE'))
})

test('the mark of a generation has its instant, and the fingerprints of the bytes that were read', async () => {
  const content = Buffer.from('0123456789'.repeat(40))
  const reader = new ScriptedReader(content)
  const first = await identified(reader)
  assert.deepEqual(
    [first.createdAt, first.head, first.totalBytes, first.blobType, first.tail],
    [instant, content.subarray(0, 256), 400, 'append', { offset: 0, before: Buffer.alloc(0) }],
  )
  const source = { blob, generation: instant }
  const unread = markOf(source, first, { offset: 0, before: Buffer.alloc(0) })
  assert.deepEqual(
    [unread.head, unread.tail, unread.createdAt, unread.blob],
    [undefined, undefined, instant, blob],
  )
  const read = markOf(source, first, { offset: 70, before: content.subarray(6, 70), closing: 3 })
  assert.match(read.head ?? '', /^0\+70:/)
  assert.match(read.tail ?? '', /^6\+64:/)
  assert.equal(read.closing, 3)
  const resumed = await identified(reader, [{ ...source, offset: 70, mark: read }])
  assert.deepEqual(resumed.tail, { offset: 70, before: content.subarray(6, 70) })
})

/** A document with elements of some numbers. */
function documentOf(...numbers: readonly number[]): string {
  return `{"records":[${numbers.map((number) => `{"number":${number}}`).join(',')}]}\n`
}

/** A blob of documents that has landed whole, with the mark of its last array if it is known. */
async function landedDocuments(
  reader: ScriptedReader,
  { closing, offset = reader.content.length }: { closing: number | undefined; offset?: number },
): Promise<KnownGeneration> {
  const first = await identified(reader)
  const source = { blob, generation: instant }
  if (closing === undefined) return { ...source, offset, mark: undefined }
  const end = offset - closing
  const before = reader.content.subarray(Math.max(0, end - 64), end)
  return { ...source, offset, mark: markOf(source, first, { offset: end, before, closing }) }
}

test('a landed document that did not grow, or has another one behind it, is read on from its end', async () => {
  for (const more of ['', documentOf(3), '  \n', documentOf(3, 4)]) {
    for (const closing of [3, undefined]) {
      const reader = new ScriptedReader(documentOf(1, 2))
      const known = await landedDocuments(reader, { closing })
      reader.append(more)
      const found = await identified(reader, [known])
      assert.deepEqual(
        [found.recognition, found.offset, found.resume, found.insideLine],
        ['goes-on', known.offset, undefined, false],
        `${JSON.stringify(more)} ${closing}`,
      )
    }
  }
})

test('a landed document that has grown is resumed behind the last element that landed', async () => {
  const reader = new ScriptedReader(documentOf(1, 2))
  const known = await landedDocuments(reader, { closing: 3 })
  reader.overwrite(documentOf(1, 2, 3))
  const found = await identified(reader, [known])
  const readFrom = known.offset - 3
  assert.deepEqual([found.recognition, found.offset], ['goes-on', known.offset])
  assert.deepEqual(found.resume, {
    readFrom,
    before: found.tail.before,
    behind: 'element',
    landedTo: readFrom,
  })
  assert.deepEqual(found.tail, { offset: readFrom, before: reader.content.subarray(0, readFrom), closing: 3 })
  assert.deepEqual(found.before, found.tail.before)
})

test('a landed document without elements is resumed behind its bracket', async () => {
  const reader = new ScriptedReader(documentOf())
  const known = await landedDocuments(reader, { closing: 3 })
  reader.overwrite(documentOf(1))
  const { resume } = await identified(reader, [known])
  assert.deepEqual([resume?.behind, resume?.readFrom], ['bracket', '{"records":['.length])
})

test('a document that has grown is read from its start when the place of its last element is not known', async () => {
  for (const end of [']}\n', '], "more": 1 }\n', ']}', '], "more": 1}']) {
    const reader = new ScriptedReader(`{"records":[{"number":1}${end}`)
    const known = await landedDocuments(reader, { closing: undefined })
    reader.overwrite(`{"records":[{"number":1},{"list":[2]}${end}`)
    const found = await identified(reader, [known])
    assert.equal(found.recognition, 'goes-on')
    assert.deepEqual(found.resume, {
      readFrom: 0,
      before: Buffer.alloc(0),
      behind: 'documents',
      landedTo: known.offset - end.length,
    })
  }
})

test('a document whose landed elements are followed by no comma and no bracket is another generation', async () => {
  const reader = new ScriptedReader(documentOf(1, 2))
  const known = await landedDocuments(reader, { closing: 3 })
  const landed = reader.content.toString('latin1', 0, known.offset - 3)
  reader.overwrite(`${landed}1,{"number":3}]}\n`)
  const found = await identified(reader, [known])
  assert.deepEqual([found.recognition, found.offset, found.resume], ['replaced', 0, undefined])
  // A document is not recognized by its end, so none is remembered before one has landed.
  assert.deepEqual(found.tail, { offset: 0, before: Buffer.alloc(0) })
})

test('a blob of documents of which nothing has landed is read from its start', async () => {
  const reader = new ScriptedReader(documentOf(1, 2))
  const known = await landedDocuments(reader, { closing: undefined, offset: 0 })
  const found = await identified(reader, [known])
  assert.deepEqual([found.recognition, found.offset, found.resume], ['goes-on', 0, undefined])
})

test('a long landed document is read on from its end, whatever follows it', async () => {
  const long = documentOf(...Array.from({ length: 20 }, (_, index) => index))
  for (const [more, closing] of [
    ['', undefined],
    [long, undefined],
    [`  ${long}`, undefined],
    ['no document', 3],
  ] as const) {
    const reader = new ScriptedReader(long)
    const known = await landedDocuments(reader, { closing })
    reader.append(more)
    assert.equal((await identified(reader, [known])).resume, undefined, JSON.stringify(more))
  }
})

test('a document that grew by an element as long as its end is resumed, not taken for two documents', async () => {
  for (const count of [1, 20]) {
    const numbers = Array.from({ length: count }, (_, index) => index)
    const reader = new ScriptedReader(documentOf(...numbers))
    const known = await landedDocuments(reader, { closing: undefined })
    reader.overwrite(documentOf(...numbers).replace(']}', ',{}]}'))
    assert.equal((await identified(reader, [known])).resume?.behind, 'documents')
  }
})

test('a landed document whose grown form is not complete yet is taken to have had the shortest end', async () => {
  const reader = new ScriptedReader(documentOf(1))
  const known = await landedDocuments(reader, { closing: undefined })
  reader.overwrite('{"records":[{"number":1},{"number":2},')
  assert.equal((await identified(reader, [known])).resume?.landedTo, known.offset - 2)
})

test('a remembered place without the length of the end behind it does not tell where a document resumes', async () => {
  const reader = new ScriptedReader(documentOf(1, 2))
  const known = await landedDocuments(reader, { closing: 3 })
  const mark = { ...known.mark!, closing: undefined }
  reader.overwrite(documentOf(1, 2, 3))
  const { resume } = await identified(reader, [{ ...known, mark }])
  assert.deepEqual([resume?.behind, resume?.readFrom, resume?.landedTo], ['documents', 0, known.offset - 3])
})

test('a place that was read but has not landed yet does not move the place where reading resumes', async () => {
  const [first, second] = [documentOf(1), documentOf(2)]
  const reader = new ScriptedReader(first + second)
  const known = await landedDocuments(reader, { closing: 3 })
  reader.overwrite(first + documentOf(2, 3))
  const found = await identified(reader, [{ ...known, offset: first.length }])
  assert.deepEqual([found.offset, found.resume], [first.length, undefined])
})

test('with the place of an earlier document, a blob is resumed there if its last document grew, and only then', async () => {
  const [first, second] = [documentOf(1), documentOf(2)]
  const reader = new ScriptedReader(first)
  const { mark } = await landedDocuments(reader, { closing: 3 })
  reader.append(second)
  const known = { blob, generation: instant, offset: first.length + second.length, mark }
  assert.equal((await identified(reader, [known])).resume, undefined)
  reader.overwrite(first + documentOf(2, 3))
  const { resume } = await identified(reader, [known])
  assert.deepEqual(
    [resume?.behind, resume?.readFrom, resume?.landedTo],
    ['element', first.length - 3, known.offset - 3],
  )
})
