import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SerialQueue } from '../../../src/offsets/serial-queue.ts'
import { SpoolEncoder } from '../../../src/sinks/encoding/encoder.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import type { TableDeclaration } from '../../../src/tables/table.ts'
import { jsonlogLine } from '../../support/log-lines.ts'
import { encoderFixture, onlySpan } from '../encoder-harness.ts'

const kibibyte = 1024

/** A table whose statements throw at every row of which the condition on `raw` and `reject` is true. */
function throwingAt(condition: string): TableDeclaration {
  const declaration = postgresLogs('logs.public.server')
  return {
    ...declaration,
    projection: {
      select: (source, options) =>
        declaration.projection.select(
          `(SELECT * REPLACE (CASE WHEN ${condition} THEN error('cannot take ' || left(raw, 4)) ELSE raw END AS raw)
            FROM ${source})`,
          options,
        ),
    },
  }
}

const azureRecord = (text: string, number: number): string =>
  JSON.stringify({
    properties: {
      timestamp: '2026-11-24 08:54:35.875 UTC',
      processId: number,
      errorLevel: 'LOG',
      message: `2026-11-24 08:54:35 UTC-6b05544b.20cd-LOG:  statement: ${text}`,
    },
    time: '2026-11-24T08:54:35.900Z',
    category: 'PostgreSQLLogs',
  })

test('long rows of many lengths among ordinary ones are each one row, within the memory of the engine', async (t) => {
  const { encoder, spool, read } = await encoderFixture(t)
  const lengths = [100, 3, 20, 300, 1, 1_100, 100, 2, 600, 40]
  const long = lengths.flatMap((size, number) => [
    azureRecord('insert '.repeat((size * kibibyte) / 7), number),
    jsonlogLine(number, 'é\\"'.repeat((size * kibibyte) / 5)),
  ])
  const lines = long.flatMap((line, number) => [jsonlogLine(2 * number), line, jsonlogLine(2 * number + 1)])
  const encoded = await encoder.encode(await spool(lines.map((raw) => ({ raw }))))
  assert.deepEqual([encoded.rows, encoded.rejected, encoded.partial], [lines.length, 0, 0])
  const rows = await read(encoded)
  assert.deepEqual(
    rows.map(({ raw }) => raw),
    lines,
  )
  assert.ok(encoded.files.length <= 3, 'few files, however many pieces')
})

test('a row over 4 MiB is encoded while no other stage works on a long text, and other rows at any time', async (t) => {
  const { engine, outputDirectory, spool } = await encoderFixture(t)
  const longTexts = new SerialQueue()
  const declaration = postgresLogs('logs.public.server')
  const encoder = new SpoolEncoder({ engine, declaration, outputDirectory, longTexts })
  let endWork = (): void => {}
  longTexts.run(
    () =>
      new Promise((resolve) => {
        endWork = resolve as () => void
      }),
  )
  const short = await encoder.encode(await spool([{ raw: azureRecord('insert '.repeat(kibibyte), 1) }]))
  assert.equal(short.rows, 1)
  const steps: string[] = []
  const long = encoder
    .encode(await spool([{ raw: azureRecord('insert '.repeat(700 * kibibyte), 1) }]))
    .then(({ rows }) => steps.push(`${rows} row`))
  await new Promise((resolve) => setTimeout(resolve, 100))
  steps.push('end of the work')
  endWork()
  await long
  assert.deepEqual(steps, ['end of the work', '1 row'])
})

test('for a table that loads one file per batch, a batch of many lengths is one file', async (t) => {
  const { engine, outputDirectory, spool } = await encoderFixture(t)
  const declaration = postgresLogs('logs.public.server')
  const encoder = new SpoolEncoder({ engine, declaration, outputDirectory, files: 'whole' })
  const lines = [jsonlogLine(1), azureRecord('x'.repeat(200 * kibibyte), 2), 'nope']
  const encoded = await encoder.encode(await spool(lines.map((raw) => ({ raw }))))
  assert.deepEqual([encoded.files.length, encoded.rows, encoded.rejected], [1, 3, 1])
})

test('a row that makes its statement fail is rejected with its place and text, and all others land as usual', async (t) => {
  const { encoder, spool, read } = await encoderFixture(
    t,
    throwingAt(`reject IS NULL AND contains(raw, 'boom')`),
  )
  const lines = Array.from({ length: 16 }, (_, number) =>
    jsonlogLine(number, number === 3 || number === 12 ? 'boom' : 'calm'),
  )
  const batch = await spool(lines.map((raw) => ({ raw })))
  const encoded = await encoder.encode(batch)
  assert.deepEqual([encoded.rows, encoded.rejected, encoded.partial], [16, 2, 0])
  const rows = await read(encoded)
  assert.deepEqual(
    rows.map(({ raw }) => raw),
    lines,
  )
  const rejected = rows.filter(({ parse_status }) => parse_status === 'rejected')
  assert.deepEqual(
    rejected.map(({ parse_error, message }) => [parse_error, message]),
    Array(2).fill(['not_encodable: Invalid Input Error: cannot take {"ti', null]),
  )
})

test('of a text that cannot be encoded at all the beginning is kept, and the note says so', async (t) => {
  const { encoder, spool, read } = await encoderFixture(t, throwingAt('length(raw) > 65536'))
  const long = `${'x'.repeat(65_535)}é and more`
  const batch = await spool([{ raw: jsonlogLine(1) }, { raw: long }, { raw: 'short' }])
  const encoded = await encoder.encode(batch)
  const rows = await read(encoded)
  assert.deepEqual(
    rows.map((row) => [Number(row.source_offset) - onlySpan.start, row.parse_status]),
    [
      [0, 'ok'],
      [jsonlogLine(1).length + 1, 'rejected'],
      [jsonlogLine(1).length + 1 + 65_547 - 1 + 1, 'rejected'],
    ],
  )
  assert.equal(rows[1]?.raw, `${'x'.repeat(65_535)}\ufffd`)
  assert.match(
    String(rows[1]?.parse_error),
    /^not_encodable: Invalid Input Error: cannot take xxxx; the text is cut to 64 KiB$/,
  )
  assert.equal(rows[2]?.parse_error, 'not_json')
})

test('texts that are not JSON are rejected rows among usual ones, in one batch or in several', async (t) => {
  const { encoder, spool, read } = await encoderFixture(t)
  for (const broken of [[], [3], [0, 5], [], []]) {
    const lines = Array.from({ length: 8 }, (_, number) =>
      broken.includes(number) ? jsonlogLine(number).slice(0, -1) : jsonlogLine(number),
    )
    const encoded = await encoder.encode(await spool(lines.map((raw) => ({ raw, form: 'flat' }))))
    assert.deepEqual([encoded.rows, encoded.rejected], [8, broken.length])
    const rows = await read(encoded)
    assert.deepEqual(
      rows.map(({ raw }) => raw),
      lines,
    )
    assert.deepEqual(
      rows.flatMap(({ parse_status }, number) => (parse_status === 'rejected' ? [number] : [])),
      broken,
    )
  }
})

test('an unusual row lands beside a usual one, in one span or several, even at the same place', async (t) => {
  const { encoder, spool, read } = await encoderFixture(t)
  const spans = [onlySpan, { ...onlySpan, blob: 'logs/other' }]
  const entries = [
    { raw: jsonlogLine(1), offset: 500 },
    { raw: azureRecord('select 1', 2), offset: 500 },
    { raw: azureRecord('select 2', 3), offset: 500, spanIndex: 1 },
    { raw: jsonlogLine(4), offset: 900 },
    { raw: jsonlogLine(5), offset: 900, spanIndex: 1 },
  ]
  for (const [chosen, given] of [
    [entries.slice(0, 2), [onlySpan]],
    [[entries[0]!, entries[2]!, entries[3]!, entries[4]!], spans],
    [entries, spans],
  ] as const) {
    const encoded = await encoder.encode(await spool(chosen, given))
    const rows = await read(encoded)
    assert.deepEqual(rows.map(({ raw }) => raw).sort(), chosen.map(({ raw }) => raw).sort())
    assert.ok(rows.every(({ parse_status }) => parse_status === 'ok'))
  }
})
