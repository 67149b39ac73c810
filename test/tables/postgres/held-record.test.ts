import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Random, seededRandom } from '../../../doubles/seeded-random.ts'
import { bytesAsLatin1 } from '../../../src/records.ts'
import type { JsonRow } from '../../../src/sinks/encoding/engine.ts'
import { usualLine } from '../../../src/streams/records/usual-line.ts'
import { type PostgresLogsOptions, postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { jsonlogKeys } from '../../../src/tables/postgres/shapes/jsonlog.ts'
import { writtenForm } from '../../../src/tables/postgres/written-jsonlog.ts'
import type { TableDeclaration } from '../../../src/tables/table.ts'
import { encoderFixture, type TestEntry } from '../../sinks/encoder-harness.ts'

const seed = Number(process.env.TAILRACE_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
const lineCount = Number(process.env.TAILRACE_FUZZ_LINES ?? 1_500)

/** A record's text by the rules of docs/tables.md, "The whole record". */
function rebuilt(row: JsonRow): string {
  const time = (name: string, digits: number): string =>
    `${new Date(`${String(row[name]).replace(' ', 'T').replace(/\+00$/, 'Z')}`).toISOString().replace('T', ' ').slice(0, digits)} UTC`
  const messageHasStatement = /^(?:duration: |statement: |execute |bind |parse )/.test(String(row.message))
  const values: Record<string, unknown> = {
    timestamp: time('event_time', 23),
    session_start: time('session_start', 19),
    txid: row.txid ?? '0',
    query_id: row.query_id ?? '0',
    state_code: row.sqlstate === '00000' ? null : row.sqlstate,
    statement: messageHasStatement ? null : row.statement,
  }
  const columns: Record<string, string> = {
    user: 'user_name',
    dbname: 'db_name',
    remote_host: 'client_addr',
    remote_port: 'client_port',
    error_severity: 'severity',
  }
  const members = jsonlogKeys.flatMap(({ key, type }) => {
    const value = key in values ? values[key] : row[columns[key] ?? key]
    if (value === null) return []
    return [`${JSON.stringify(key)}:${type === 'number' ? String(value) : JSON.stringify(value)}`]
  })
  return `{${members.join(',')}}`
}

const texts = [
  'select 1', 'é', '📚 read', 'tab\there', 'line\nbreak', 'quote "x"', 'back\\slash', '\u0001\u001f', '\u007f', '/',
  '', '[unknown]', '[local]', '{a}', '[', '{"a":1}', '5', '-7', '1e3', '1.50', 'true', 'false', 'null', '10.0.0.1', 'x  ',
] // biome-ignore format: one list

const messages = [
  'duration: 0.734 ms  statement: select 1', 'duration: 12.500 ms', 'duration: 1 ms', 'duration: 1.5000 ms  parse x: select 2',
  'duration: 1234567890123456.000 ms', 'duration: NaN ms', 'duration: 0.100 ms  execute a:b: select \'x: y\'',
  'execute <unnamed>: select 3', 'bind s: select 4', `parse ${'n'.repeat(500)}: select 5`, 'statement: select 6', 'execute none',
  'duration: 0.1 ms foo ms  statement: select 7', 'duration: 0.100 ms  statement:select 8', 'duration: 1.000 ms  execute é: ü',
  'statement', 'duration: ', 'AUDIT: SESSION,1,1,READ,SELECT,,,select 1,<none>', 'could not serialize access',
] // biome-ignore format: one list

// biome-ignore format: one list
const times = [
  '2026-11-24 24:00:00.000 UTC', '2026-11-24T10:00:00.123 UTC', '2026-11-24 10:00:00.12  UTC', '2026-11-24 1:00:00.1230 UTC',
  '2026-11-24 10:00:60.000 UTC', '2026-11-24  9:00:00.123 UTC', ' 026-11-24 10:00:00.123 UTC', '0999-11-24 10:00:00.123 UTC',
  '2026-11-24 10:00:00.123 CET', '2026-11-24 10:00:00,000 UTC', '2026-11-24 10:00:00.000+00 ', '2026-11-24 10:00:00.123+03',
  'yesterday', '2026-11-31 10:00:00.123 UTC', '2026-11-24 10:00 UTC', '2026-11-24 10:00:00.123456 UTC', '1764321411.946',
]

// biome-ignore format: one list
const sessionStarts = [
  '2026-11-24 09:00:01 UTC', '2026-11-24 9:00:00 UTC ', '2026-11-24  9:00:00 UTC', '2026-11-24 10:00:00 CET',
  '2026-11-24T09:00:00 UTC', '2026-11-24 09:00:00+00 ', '',
]

// biome-ignore format: one list
const oddValues = [
  '5', '-0', '1e3', '1e5', '1.0', '1.5', 'true', 'false', 'null', '"5"', '"4711"', '""', '"[unknown]"', '{}', '[1]', '{"a":1}',
  '12345678901234567890', '99999999999', '"a\\u0062"', '"a\\/b"', '"\\u0022"',
]

/** Members of a JSON object, in order. */
type Members = [key: string, json: string][]

/** Lines of jsonlog: as the server writes them, or with one or two deviations. */
class RecordGenerator {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  line(): string {
    const members = this.#record()
    const deviations = this.#one([0, 0, 1, 1, 2])
    let json = ''
    const separators = { colon: ':', comma: ',' }
    for (let count = 0; count < deviations; count += 1) this.#deviate(members, separators)
    for (const [key, value] of members) {
      json += `${json === '' ? '' : this.#one([',', separators.comma])}${JSON.stringify(key)}${this.#one([':', separators.colon])}${value}`
    }
    return `{${json}}`
  }

  #record(): Members {
    return jsonlogKeys.flatMap(({ key, type, presence = 'often' }): Members => {
      if (this.#random.next() > { always: 1, often: 0.7, rarely: 0.1 }[presence]) return []
      return [
        [key, type === 'number' ? this.#one(['0', '1', '4711', '-68']) : JSON.stringify(this.#text(key))],
      ]
    })
  }

  #text(key: string): string {
    switch (key) {
      case 'timestamp':
        return `2026-11-24 10:00:00.${this.#one(['123', '120', '100', '000'])} UTC`
      case 'session_start':
        return '2026-11-24 09:00:00 UTC'
      case 'session_id':
        return `${sessionEpoch}.${this.#one(['1267', '12a'])}`
      case 'state_code':
        return this.#one(['42P01', '22012'])
      case 'message':
        return this.#one(this.#random.next() < 0.6 ? messages : texts)
      default:
        return this.#one(this.#random.next() < 0.8 ? ['plain'] : texts)
    }
  }

  #deviate(members: Members, separators: { colon: string; comma: string }): void {
    const place = this.#random.between(0, members.length - 1)
    const set = (key: string, json: string): void => {
      const member = members.find(([name]) => name === key)
      if (member === undefined) members.push([key, json])
      else member[1] = json
    }
    const deviations: readonly (() => void)[] = [
      () => set('timestamp', JSON.stringify(this.#one(times))),
      () => set('session_start', JSON.stringify(this.#one(sessionStarts))),
      () => set('session_id', this.#one(['"x.y"', '"0692430a0.1"', `"${sessionEpoch.toUpperCase()}.1"`])),
      () => set('state_code', '"00000"'),
      () => set(this.#one(['query_id', 'txid']), this.#one(['-6883023751393440299', '3949960645'])),
      () => set(members[place]![0], this.#one(oddValues)),
      () => set(this.#one(jsonlogKeys).key, this.#one(oddValues)),
      () => members.splice(place, 1),
      () =>
        members.splice(place, 0, [
          this.#one(['other', 'pid', 'user', 'properties', '']),
          this.#one(oddValues),
        ]),
      () => members.reverse(),
      () => Object.assign(separators, { colon: this.#one([': ', ':  ', ' : ']) }),
      () => Object.assign(separators, { comma: this.#one([', ', ',\t']) }),
    ]
    this.#one(deviations)()
  }

  #one<Value>(values: readonly Value[]): Value {
    return values[this.#random.between(0, values.length - 1)]!
  }
}

const sessionEpoch = (Date.UTC(2026, 10, 24, 9) / 1000).toString(16)

/** An entry as the validator makes it; every third one as a transform makes it, which does not know its form. */
function entryOf(raw: string, number: number, writtenForm: RegExp | undefined): TestEntry {
  const form = usualLine(bytesAsLatin1(raw), writtenForm)
  return number % 3 === 0 || form === undefined || form === 'nested' ? { raw } : { raw, form }
}

/** The rows of lines by the encoder, or by the SQL for any shape alone. */
async function rowsOf(
  t: TestContext,
  lines: readonly string[],
  declaration: TableDeclaration,
): Promise<JsonRow[]> {
  const { rowsOf } = await encoderFixture(t, declaration)
  return rowsOf(lines.map((line, number) => entryOf(line, number, declaration.projection.writtenForm)))
}

function longWay(declaration: TableDeclaration): TableDeclaration {
  const { projection } = declaration
  return {
    ...declaration,
    projection: { select: (source, { passThrough }) => projection.select(source, { passThrough }) },
  }
}

test(`a record without raw is whole in its columns, and every other column is that of the SQL for any shape (seed ${seed})`, async (t) => {
  const generator = new RecordGenerator(seededRandom(seed))
  const lines = Array.from({ length: lineCount }, () => generator.line())
  const optionSets: readonly PostgresLogsOptions[] = [
    {},
    { timezone: 'Europe/Berlin', role: 'replica', strict: true },
  ]
  for (const options of optionSets) {
    const rows = await rowsOf(t, lines, postgresLogs('a.b.c', { ...options, keepRaw: 'unusual' }))
    const expected = await rowsOf(t, lines, longWay(postgresLogs('a.b.c', options)))
    assert.equal(rows.length, lines.length)
    let held = 0
    let written = 0
    for (const [number, row] of rows.entries()) {
      const line = lines[number]!
      // Between the first and the last key of the server, no other key is searched in a record with raw.
      const searched = row.raw === null || !/"query_id":"?[^",]*"?\}$/.test(line)
      const extra = searched ? (expected[number]?.extra ?? null) : row.extra
      assert.deepEqual({ ...row, raw: line }, { ...expected[number], extra, raw: line }, line)
      if (row.raw === null) {
        held += 1
        written += entryOf(line, number, writtenForm).form === 'written' ? 1 : 0
        assert.equal(rebuilt(row), line)
      } else assert.equal(row.raw, line)
    }
    assert.ok(held > lineCount / 6, `only ${held} records are whole in their columns`)
    // Both the records whose form is known and the others are compared.
    assert.ok(written > held / 3 && written < held, `${written} of ${held} are of the written form`)
  }
})
