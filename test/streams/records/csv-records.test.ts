import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EntryBlock, type LineBlock, latin1AsText } from '../../../src/records.ts'
import { LineSplitter } from '../../../src/streams/line-splitter.ts'
import { RecordValidator } from '../../../src/streams/record-validator.ts'
import { transformLines } from '../../../src/streams/transform-lines.ts'
import { redactLiterals } from '../../../src/transforms/redact-literals.ts'
import { onlySpan } from '../../sinks/encoder-harness.ts'
import { through } from '../through.ts'

const head = '2026-11-24 08:54:35.875 UTC,"shop","orders",4138,"10.1.2.3:40100",6b0550cb.102a,7,"SELECT",'
const begin = `${head}2026-11-24 08:54:35 UTC,3/11,0,ERROR,42P01,"relation ""x"" does not exist",,,,,,`
const end = ',15,,"psql","client backend",,0'

const common = {
  log_time: '2026-11-24 08:54:35.875 UTC',
  user_name: 'shop',
  database_name: 'orders',
  process_id: '4138',
  connection_from: '10.1.2.3:40100',
  session_id: '6b0550cb.102a',
  session_line_num: '7',
  session_start_time: '2026-11-24 08:54:35 UTC',
  virtual_transaction_id: '3/11',
  transaction_id: '0',
}
const backend = { application_name: 'psql', backend_type: 'client backend', query_id: '0' }

/** Lines, and the records of those that continue another one. */
const lines: readonly (readonly [line: string, record?: unknown])[] = [
  [`${begin}"select ""A"",`],
  ['from x where a = ""b', { ...common, query: 'from x where a = "b', chunkIndex: 2 }],
  ['"" and', { ...common, query: '" and', chunkIndex: 3 }],
  [''],
  ["\tc LIKE '%LOG:  é%' or", { ...common, query: "\tc LIKE '%LOG:  é%' or", chunkIndex: 4 }],
  [`d > 5"${end}`, { ...common, query: 'd > 5', query_pos: '15', ...backend, chunkIndex: 5 }],
  ['no line of a record'],
  [`${begin}"select 1"${end}`],
  ['no line of a record, either'],
  [`${head}2026-11-24 08:54:35 UTC,3/11,0,LOG,00000,"duration: 1 ms  plan:`],
  ['Query Text: select ""A""', { message: '\tQuery Text: select "A"' }],
  ['Result",,,,,"PL/pgSQL function f()', { message: '\tResult', csvlog_rest: ',,,,,"PL/pgSQL function f()' }],
  [
    'SQL statement ""x""",,,,"psql","client backend",,0',
    { ...common, context: 'SQL statement "x"', ...backend, chunkIndex: 4 },
  ],
  ['{"message":"\\"","level":"info"}'],
]

test('the further lines of a csvlog record land with its columns or as those of a text log, wherever the chunks are cut', async () => {
  const bytes = Buffer.from(lines.map(([line]) => `${line}\n`).join(''))
  const wanted = lines.flatMap(([line, record]) => {
    if (line === '') return []
    return [[line, record, line.startsWith('no') ? 'not_json' : undefined]]
  })
  for (let cut = 1; cut < bytes.length; cut += 7) {
    const chunks = [
      [0, cut],
      [cut, bytes.length],
    ].map(([from = 0, to = 0]) => ({
      span: { ...onlySpan, start: onlySpan.start + from, end: onlySpan.start + to },
      bytes: bytes.subarray(from, to),
    }))
    const blocks = await through<LineBlock>(new LineSplitter(), chunks)
    const validated = await through<EntryBlock>(new RecordValidator(), blocks)
    const landed = validated.flatMap((block) => block.entries)
    const shown = landed.map(({ raw, json, reject }) => {
      const line = latin1AsText(raw)
      const isFurther = json !== undefined && !line.startsWith('2026')
      return [line, isFurther ? JSON.parse(latin1AsText(json)) : undefined, reject]
    })
    assert.deepEqual(shown, wanted, `cut at ${cut}`)
  }
})

test('redaction replaces the further lines of a csvlog record', async () => {
  const rows = await transformLines(
    [
      `${begin}"select 'a`,
      `mark1', 5"${end}`,
      `${head}2026-11-24 08:54:35 UTC,3/11,0,LOG,00000,"statement: select 'a`,
      `mark1'","parameters: $1 = 'mark1'",,,,,"select 'mark1`,
      `mark1'"${end}`,
    ],
    [redactLiterals()],
  )
  assert.doesNotMatch(JSON.stringify(rows), /mark1/)
  assert.deepEqual(
    [1, 3, 4].map((index) => rows[index]?.record?.query ?? rows[index]?.record?.message),
    ['?', '\t?', '?'],
  )
  assert.equal(rows[1]?.record?.user_name, 'shop')
})
