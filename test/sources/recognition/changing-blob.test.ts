import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTailraceError } from '../../../src/errors.ts'
import {
  type IdentifiedBlob,
  identifyBlob,
  type KnownGeneration,
  markOf,
} from '../../../src/sources/recognition/identify-blob.ts'
import { ScriptedReader } from '../scripted-reader.ts'

/** A blob of which a part has landed, and its content after a change that keeps its creation instant. */
interface Change {
  readonly landed: string
  /** Bytes behind the last element of the last document that landed. */
  readonly closing?: number
  readonly before: string
  readonly after: string
}

const line = '{"line":1}\n'
const documentOf = (count: number) =>
  `{"records":[${Array.from({ length: count }, (_, number) => `{"number":${number}}`).join(',')}]}\n`
const document = { landed: documentOf(20), closing: 3 }

const changes: Readonly<Record<string, Change>> = {
  'lines that were overwritten with others': {
    landed: line.repeat(30),
    before: line.repeat(40),
    after: '{"other":2}\n'.repeat(50),
  },
  'lines that were overwritten with a beginning that is the same': {
    landed: line.repeat(30),
    before: line.repeat(40),
    after: `${line.repeat(25)}${'{"other":2}\n'.repeat(40)}`,
  },
  'lines that were overwritten with fewer': {
    landed: line.repeat(30),
    before: line.repeat(40),
    after: line.repeat(10),
  },
  'lines that were overwritten before the landed ones were followed by any': {
    landed: line,
    before: line,
    after: '{"line":2}\n{"line":3}\n',
  },
  'a document that grew': { ...document, before: documentOf(20), after: documentOf(25) },
  'a document that grew again': { ...document, before: documentOf(21), after: documentOf(25) },
  'a document behind which another one came': {
    ...document,
    before: documentOf(20),
    after: documentOf(20) + documentOf(3),
  },
  'a document that was replaced behind its head': {
    ...document,
    before: documentOf(25),
    after: documentOf(40).replaceAll('1', '7'),
  },
}

/** What decides how a blob is read: its length is only reported. */
function decision({
  recognition,
  generation,
  offset,
  insideLine,
  before,
  resume,
  tail,
  head,
}: IdentifiedBlob) {
  const bytes = (buffer: Buffer) => buffer.toString('latin1')
  return {
    recognition,
    generation,
    offset,
    insideLine,
    before: bytes(before),
    resume: resume && { ...resume, before: bytes(resume.before) },
    tail: { ...tail, before: bytes(tail.before) },
    head: bytes(head),
  }
}

async function identified(
  reader: ScriptedReader,
  known: readonly KnownGeneration[],
): Promise<IdentifiedBlob> {
  const found = await identifyBlob(reader, 'a', { known, coldStart: 'earliest' })
  assert.equal(found.kind, 'found')
  return found as IdentifiedBlob
}

for (const [what, { landed, closing = 0, before, after }] of Object.entries(changes)) {
  test(`while a blob changes it is identified as it was before or after, or it is to be repeated: ${what}`, async () => {
    const landing = await identified(new ScriptedReader(landed), [])
    const source = { blob: 'logs/a', generation: landing.generation }
    const end = landed.length - closing
    const tail = { offset: end, before: Buffer.from(landed.slice(Math.max(0, end - 64), end)), closing }
    const known = [{ ...source, offset: landed.length, mark: markOf(source, landing, tail) }]

    const old = decision(await identified(new ScriptedReader(before), known))
    const current = decision(await identified(new ScriptedReader(after), known))
    for (let changedAt = 1; ; changedAt += 1) {
      const reader = new ScriptedReader(before)
      const read = reader.read.bind(reader)
      let reads = 0
      reader.read = async (...request) => {
        reads += 1
        if (reads === changedAt) reader.overwrite(after)
        return read(...request)
      }
      const found = await identified(reader, known).then(decision, (error: unknown) => {
        if (!isTailraceError(error, 'SOURCE_UNAVAILABLE')) throw error
        return undefined
      })
      if (reads < changedAt) break
      const expected = JSON.stringify(found) === JSON.stringify(old) ? old : current
      if (found !== undefined) assert.deepEqual(found, expected, `changed before read ${changedAt}`)
    }
  })
}
