import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from '../../src/json.ts'
import type { LogRecord } from '../../src/transforms/record-transform.ts'
import { redactLiterals } from '../../src/transforms/redact-literals.ts'

const place = { pipeline: 'primary', blob: 'logs/a', offset: 0 }
const redact = (record: LogRecord): LogRecord => redactLiterals()(record, place) as LogRecord
const inSql = (sql: string): unknown => redact({ statement: sql }).statement
const inMessage = (text: string): unknown => redact({ message: text }).message

const secret = 'hunter2secret'
const number = '8675309'

/** A field of pgaudit's line: quoted only where CSV asks for it. */
const csv = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** Every way in which a value stands in a statement. */
const literals = [
  `'${secret}'`,
  `'it''s ${secret}'`,
  `'C:\\${secret}\\'`,
  `E'it\\'s ${secret}'`,
  `e'\\\\${secret}\\\\'`,
  `U&'\\0061${secret}'`,
  `B'101' || '${secret}'`,
  `x'${secret}'`,
  `N'${secret}'`,
  `$$${secret} it's$$`,
  `$tag$${secret} $$ it's$tag$`,
  `$été$${secret}$été$`,
  `'a'\n  '${secret}'`,
  `'line one\nline ${secret}'`,
  `DATE '${secret}'`,
  `interval '${secret}'`,
  `'{"a":"${secret}"}'::jsonb`,
  `ARRAY['${secret}', 'b']`,
  `-- don't\n '${secret}'`,
  `/* it's */ '${secret}'`,
  `-- ${secret}\n 1`,
  `/* ${secret} */ 1`,
  `"quoted ""name""" || '${secret}'`,
  number,
  `-${number}`,
  `+${number}.25`,
  `.${number}`,
  `${number}.`,
  `${number}e10`,
  `1e${number}`,
  `0x${number}AF`,
  `0o${number.replaceAll(/[89]/g, '7')}8675309`,
  `8_675_309 + ${number}`,
  `1_${number}`,
  `(${number})`,
  `${number}::int`,
  `a=${number}`,
  `a-${number}`,
]

test('no value of a statement survives, whatever form it has and wherever it stands', () => {
  const anyLiteral = fc.constantFrom(...literals)
  const between = fc.constantFrom(
    ' = ',
    ', ',
    ' ',
    ' AND "t"."col" <> ',
    '\nFROM t WHERE id IN (',
    ') VALUES ($1, ',
  )
  const where: ((sql: string) => LogRecord)[] = [
    (sql) => ({ statement: sql }),
    (sql) => ({ query: sql, internal_query: sql }),
    (sql) => ({ message: `duration: 12.345 ms  statement: ${sql}` }),
    (sql) => ({ message: `duration: 12.345 ms  execute S_1/C_2: ${sql}` }),
    (sql) => ({ message: `execute <unnamed>: ${sql}` }),
    (sql) => ({ context: `SQL statement "${sql}"\nPL/pgSQL function f() line 3 at SQL statement` }),
    (sql) => ({ detail: `Process 18 waits for ShareLock on transaction 7.\nProcess 18: ${sql}` }),
    (sql) => ({ message: `AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,public.t,${csv(sql)},<none>` }),
    (sql) => ({ message: `AUDIT: SESSION,1,1,WRITE,INSERT,,,select $1,${csv(sql)}` }),
    (sql) => ({ message: `AUDIT: SESSION,1,1,WRITE,INSERT,,,${sql},<none>` }),
    (sql) => ({ textPayload: `LOG:  AUDIT: OBJECT,7,2,READ,SELECT,TABLE,"s.""T""",${csv(sql)}` }),
    (sql) => ({ message: `AUDIT: ${sql}` }),
    (sql) => ({ 'audit.statement': sql, audit: { parameter: sql }, 'audit.parameter': [sql] }),
    (sql) => ({ properties: { message: `LOG:  statement: ${sql}` } }),
    (sql) => ({ record: { statement: sql, list: [{ query: sql }] } }),
  ]
  fc.assert(
    fc.property(
      fc.array(fc.tuple(between, anyLiteral), { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...where),
      (parts, wrap) => {
        const sql = `SELECT a ${parts.map(([before, literal]) => before + literal).join('')}`
        const text = JSON.stringify(redact(wrap(sql)))
        assert.doesNotMatch(text, new RegExp(`${secret}|${number}|675_309`))
      },
    ),
    { numRuns: 1500 },
  )
})

test('a statement that is cut short at any character gives nothing away', () => {
  const sql = literals.map((literal) => `SELECT ${literal} FROM t;\n`)
  for (const whole of sql) {
    for (let end = 1; end <= whole.length; end += 1) {
      assert.doesNotMatch(String(inSql(whole.slice(0, end))), /hunter2/, whole.slice(0, end))
    }
    const audit = `AUDIT: SESSION,1,1,READ,SELECT,TABLE,"s.""t""",${csv(whole)},${csv(whole)}`
    for (let end = 1; end <= audit.length; end += 1) {
      assert.doesNotMatch(String(inMessage(audit.slice(0, end))), /hunter2/, audit.slice(0, end))
    }
  }
})

test('names, keywords and parameters stay', () => {
  for (const [sql, expected] of [
    ['SELECT col1, "Col 2", t3.c4 FROM s5.t6 WHERE a = $1 AND b = $12', undefined],
    ['INSERT INTO "it\'s" VALUES ($1)', undefined],
    ['SELECT 1 FROM t1', 'SELECT ? FROM t1'],
    ["UPDATE t SET a='x', b=5 WHERE c=$2", 'UPDATE t SET a=?, b=? WHERE c=$2'],
    ["ALTER ROLE app2 PASSWORD 'x'", 'ALTER ROLE app2 PASSWORD ?'],
  ] as const) {
    assert.equal(inSql(sql), expected ?? sql)
  }
})

test('durations, checkpoints and other numbers of the server stay', () => {
  for (const text of [
    'checkpoint complete: wrote 52 buffers (0.3%); 0 WAL file(s) added, 1 removed; write=5.113 s, sync=0.006 s',
    'automatic vacuum of table "shop.public.orders": index scans: 1',
    'connection authorized: user=app database=shop application_name=psql',
    'process 4711 still waiting for ShareLock on transaction 758 after 1000.122 ms',
    'disconnection: session time: 0:00:00.012 user=app database=shop host=[local]',
    'duration: 12.345 ms',
  ]) {
    assert.equal(inMessage(text), text)
  }
  assert.equal(
    inMessage("duration: 12.345 ms  statement: SELECT 'x'"),
    'duration: 12.345 ms  statement: SELECT ?',
  )
})

test('the values that the server repeats in its messages are gone', () => {
  const values: [LogRecord, LogRecord][] = [
    [{ detail: `Key (email)=(${secret}) already exists.` }, { detail: 'Key (email)=(?) already exists.' }],
    [
      { detail: `Key (a, b)=(1, two\nlines ${secret}) is not present in table "t".` },
      { detail: 'Key (a, b)=(?) is not present in table "t".' },
    ],
    [{ detail: `Failing row contains (1, ${secret}, null).` }, { detail: 'Failing row contains (?).' }],
    [
      { message: `invalid input syntax for type integer: "${secret}"` },
      { message: 'invalid input syntax for type integer: "?"' },
    ],
    [
      { message: `date/time field value out of range: "${secret}"` },
      { message: 'date/time field value out of range: "?"' },
    ],
    [
      { message: `value "${secret}" is out of range for type integer` },
      { message: 'value "?" is out of range for type integer' },
    ],
    [{ detail: `parameters: $1 = '${secret}', $2 = 'it''s'` }, { detail: 'parameters: $1 = ?, $2 = ?' }],
    [
      { context: `COPY people, line 3, column email: "${secret}"` },
      { context: 'COPY people, line 3, column email: "?"' },
    ],
    [{ context: `COPY people, line 3: "1\t${secret}"` }, { context: 'COPY people, line 3: "?"' }],
  ]
  for (const [record, expected] of values) {
    const redacted = redact(record)
    assert.doesNotMatch(JSON.stringify(redacted), new RegExp(secret))
    assert.deepEqual(JSON.parse(JSON.stringify(redacted).replaceAll("'?'", '?')), expected)
  }
})

test('the statement in a plan of auto_explain is redacted too', () => {
  const plan = `duration: 3.2 ms  plan:\nQuery Text: SELECT * FROM t WHERE a = '${secret}' AND b = ${number}\nSeq Scan on t  (cost=0.00..8.27 rows=1 width=4)`
  assert.doesNotMatch(String(inMessage(plan)), new RegExp(`${secret}|${number}`))
})

test('a line of pgaudit keeps what was done to which object, and no value', () => {
  const head = 'AUDIT: SESSION,12,1,WRITE,INSERT,TABLE,public.t'
  const object = 'AUDIT: OBJECT,1,1,READ,SELECT,VIEW,"s.""a,b"""'
  for (const [text, expected] of [
    [
      `${head},"insert into t values ('alice','s3cret')",<none>`,
      `${head},"insert into t values (?,?)",<none>`,
    ],
    [`${head},insert into t values ('alice'),<not logged>`, `${head},insert into t values (?),<not logged>`],
    [`${head},insert into t values ($1),hunter2`, `${head},insert into t values ($1),?`],
    [`${head},"select $1,$2","alice,""a """"b"""" c"""`, `${head},"select $1,$2",?`],
    [`${head},"update ""T""\nset a='x,y', b=""c""",5,42`, `${head},"update ""T""\nset a=?, b=""c""",?,42`],
    [`${head},insert into t values ('alice','s3cret'),5`, `${head},insert into t values (?,?,5`],
    [`${head},"insert into t values ('alice','s3c`, `${head},"insert into t values (?,?"`],
    [`${head},select $1,<hunter2>`, `${head},select $1,?`],
    [`${head},<previously logged>,<previously logged>`, undefined],
    [`${object},select 1,<none>,0`, `${object},select ?,<none>,0`],
    [`${head}`, undefined],
    ['AUDIT: SESSION,1,1,READ,SEL', undefined],
  ] as const) {
    assert.equal(inMessage(text), expected ?? text)
  }
})

test('parameters under a key of their own are replaced, whatever their type, and placeholders stay', () => {
  assert.deepEqual(
    redact({ audit: { parameter: secret }, 'audit.parameter': [secret, 5, null], parameter: { a: secret } }),
    { audit: { parameter: '?' }, 'audit.parameter': ['?', '?', null], parameter: '?' },
  )
  const placeholders: LogRecord = {
    parameter: '<none>',
    audit: { parameter: ['<not logged>', '[not logged]'] },
  }
  assert.deepEqual(redact(placeholders), placeholders)
})

test('the statement in a JSON plan of auto_explain is redacted too', () => {
  const plan = `duration: 3.2 ms  plan:\n{\n  "Query Text": "SELECT * FROM t WHERE a = '${secret}'",\n  "Plan": {\n    "Filter": "(a = '${secret}'::text)"\n  }\n}`
  assert.doesNotMatch(String(inMessage(plan)), new RegExp(secret))
})

test('other keys and other types stay as they are, and the given record is not changed', () => {
  const record: LogRecord = {
    user: "o'hara",
    pid: 4711,
    query_id: -6883023751393440299n,
    statement: "SELECT 'x'",
  }
  const copy = structuredClone(record)
  assert.deepEqual(redact(record), { ...copy, statement: 'SELECT ?' })
  assert.deepEqual(record, copy)
})

test('the replacement can be chosen, and is taken literally', () => {
  const transform = redactLiterals({ replacement: "$&'$1" })
  assert.deepEqual(transform({ statement: 'SELECT 5' }, place), { statement: "SELECT $&'$1" })
})

test('a redacted envelope stays valid, and its record keeps every other value', () => {
  for (const [line, inner, expected] of [
    [
      '{"log": "{\\"timestamp\\":\\"2026-04-02 14:55:51.586 UTC\\",\\"pid\\":53,\\"error_severity\\":\\"LOG\\",\\"message\\":\\"duration: 0.938 ms  statement: SELECT 1 FROM pg_database WHERE datname = \'postgres\' ;\\",\\"query_id\\":-6883023751393440299}\\n", "stream": "stderr"}',
      'log',
      '{"timestamp":"2026-04-02 14:55:51.586 UTC","pid":53,"error_severity":"LOG","message":"duration: 0.938 ms  statement: SELECT ? FROM pg_database WHERE datname = ? ;","query_id":-6883023751393440299}\n',
    ],
    [
      '{"category":"PostgreSQLLogs","properties":"{\\"timestamp\\":\\"2026-11-24 08:54:35.875 UTC\\",\\"processId\\":1,\\"errorLevel\\":\\"LOG\\",\\"message\\":\\"2026-11-24 08:54:35 UTC-6b0550cb.102a-LOG:  statement: alter role x password \'example-literal\'\\"}"}',
      'properties',
      '{"timestamp":"2026-11-24 08:54:35.875 UTC","processId":1,"errorLevel":"LOG","message":"2026-11-24 08:54:35 UTC-6b0550cb.102a-LOG:  statement: alter role x password ?"}',
    ],
  ] as const) {
    assert.equal(redact(parseJson(line) as LogRecord)[inner], expected)
  }
})

test('of a record of no known producer every text and number is replaced, but for keys that are to be kept', () => {
  const record: LogRecord = {
    tenant: 'acme',
    time: '2026-11-24T08:54:35Z',
    payload: { card: 8675309, note: secret, ok: true },
  }
  assert.deepEqual(redact(record), {
    tenant: '?',
    time: '2026-11-24T08:54:35Z',
    payload: { card: '?', note: '?', ok: true },
  })
  assert.deepEqual(redactLiterals({ keep: ['tenant', 'payload'] })(structuredClone(record), place), record)
})

test('a line that may be the middle of a statement is replaced, and a line of a log is not', () => {
  const inFile = (log: string): unknown => redact({ log, stream: 'stderr' }).log
  assert.equal(inFile(`\tfrom t where a = ${secret}\n`), '\t?\n')
  assert.equal(inFile(`${secret}', 5)\n`), '?\n')
  const plain = '2026-11-24 08:54:35,875 INFO: no action. I am (pg-0), the leader with the lock\n'
  assert.equal(inFile(plain), plain)
})

test('in an error about data, every number and quoted text of the message is a value, in every language', () => {
  const message = `la valeur « ${secret} » (${number}) n'est pas valide`
  const { message: redacted } = redact({ state_code: '22023', message })
  assert.doesNotMatch(String(redacted), new RegExp(`${secret}|${number}`))
})

test('a misquoted statement is replaced from its first string on', () => {
  assert.equal(inSql(`select a, 'it's ${secret}', 'b'`), 'select a, ?')
  assert.deepEqual(redact({ state_code: '42601', statement: `select 'it' s ${secret}' from t` }), {
    state_code: '42601',
    statement: 'select ?',
  })
})

test('a record that nests without end is redacted, not rejected', () => {
  const nested = parseJson(`${'{"query":"select 5","a":'.repeat(3_000)}1${'}'.repeat(3_000)}`) as LogRecord
  assert.doesNotMatch(JSON.stringify(redact(nested)), /5/)
})
