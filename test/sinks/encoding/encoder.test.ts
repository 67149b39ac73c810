import assert from 'node:assert/strict'
import { access, readdir } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { SerialQueue } from '../../../src/offsets/serial-queue.ts'
import type { RejectReason, Span } from '../../../src/records.ts'
import { SpoolEncoder } from '../../../src/sinks/encoding/encoder.ts'
import { type EmbeddedEngine, parquetSql } from '../../../src/sinks/encoding/engine.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import type { TableDeclaration } from '../../../src/tables/table.ts'
import { checkEach, encoderFixture, filled, onlySpan, rowOf, type TestEntry } from '../encoder-harness.ts'

const head = '"timestamp":"2026-11-24 08:54:35.875 UTC","pid":1,"error_severity":"LOG","message":"m"'
const plain = `{${head}}`

test('a row carries its place, its text and the clock', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const other: Span = {
    blob: "logs/it's",
    generation: '20261124T084701Z',
    start: 9_007_199_254_740_000,
    end: 9_007_199_254_740_991,
  }
  const rows = await rowsOf(
    [
      { raw: plain, index: 3 },
      { raw: '{"é":"💥"}', spanIndex: 1 },
    ],
    [onlySpan, other],
  )
  const place = rows.map((row) => [
    row.source_blob,
    row.source_generation,
    row.source_offset,
    row.source_length,
    row.source_index,
    row.raw,
  ])
  assert.deepEqual(place, [
    ["logs/it's", '20261124T084701Z', '9007199254740000', '14', 0, '{"é":"💥"}'],
    [onlySpan.blob, onlySpan.generation, '100', String(plain.length + 1), 3, plain],
  ])
  assert.equal(rows[0]!.ingest_ts, '2026-11-24 08:54:35.123+00')
})

test('integers of 64 bits are exact, and 0 is none', async (t) => {
  await checkEach(
    [
      ['-6883023751393440299', '-6883023751393440299'],
      ['9223372036854775807', '9223372036854775807'],
      ['9007199254740993', '9007199254740993'],
      ['0', null],
    ] as const,
    async ([id, expected]) => {
      const row = await rowOf(t, `{${head},"query_id":${id},"txid":0}`)
      assert.deepEqual([row.query_id, row.txid, row.parse_status], [expected, null, 'ok'])
    },
  )
})

test('a value that does not fit leaves its column empty and is named', async (t) => {
  await checkEach(
    [
      ['"pid":"12x"', 'pid = 12x'],
      ['"line_num":1.5', 'line_num = 1.5'],
      ['"line_num":1e3', 'line_num = 1000.0'],
      ['"line_num":"0x1f"', 'line_num = 0x1f'],
      ['"txid":true', 'txid = true'],
      ['"remote_port":4294967296', 'client_port = 4294967296'],
      ['"query_id":9223372036854775808', 'query_id = 9223372036854775808'],
      ['"query_id":{"a":1}', 'query_id = {"a":1}'],
      ['"dbname":{"a":[1]}', 'db_name = {"a":[1]}'],
      ['"hint":["x"],"line_num":"y"', 'line_num = y, hint = ["x"]'],
      [`"query_id":"${'9'.repeat(300)}"`, `query_id = ${'9'.repeat(100)}`],
    ] as const,
    async ([json, error]) => {
      const text = json.startsWith('"pid"') ? `{${head.replace('"pid":1', json)}}` : `{${head},${json}}`
      const row = await rowOf(t, text)
      assert.deepEqual([row.parse_status, row.parse_error], ['partial', `bad_value: ${error}`])
      assert.equal(row.message, 'm', 'the columns that fit are there')
      for (const name of error.matchAll(/(\w+) = /g)) assert.equal(row[name[1]!], null)
      assert.equal(row.raw, text)
    },
  )
})

test('text that looks like JSON is text', async (t) => {
  const row = await rowOf(t, {
    timestamp: '2026-11-24 08:54:35.875 UTC',
    pid: 1,
    error_severity: 'LOG',
    message: '{"a":1}',
    detail: '[1]',
    remote_host: '[local]',
    hint: '{',
  })
  assert.deepEqual(
    [row.message, row.detail, row.client_addr, row.hint, row.parse_status],
    ['{"a":1}', '[1]', '[local]', '{', 'ok'],
  )
})

test('empty text and [unknown] are NULL, and null is absent', async (t) => {
  const row = await rowOf(
    t,
    `{${head},"user":"","dbname":"[unknown]","ps":"","detail":null,"txid":null,"hint":" "}`,
  )
  assert.deepEqual(
    [row.user_name, row.db_name, row.command_tag, row.detail, row.hint, row.parse_status],
    [null, null, null, null, ' ', 'ok'],
  )
})

test('of a repeated key the first fills the column', async (t) => {
  const row = await rowOf(t, `{${head},"message":"second","hint":"a","hint":"b"}`)
  assert.deepEqual([row.message, row.hint, row.parse_status], ['m', 'a', 'ok'])
})

test('lines that are no JSON object are rejected rows among the others', async (t) => {
  const { encoder, spool, read } = await encoderFixture(t)
  const bad = ['nope', '{"a":', '{"properties": [218 B blob data]}', '{"a":1}}', "{'a':1}", '']
  const notObjects = ['[1]', '3', '"text"', 'null']
  const encoded = await encoder.encode(await spool([...bad, plain, ...notObjects].map((raw) => ({ raw }))))
  assert.deepEqual([encoded.rows, encoded.rejected, encoded.partial], [11, 10, 0])
  assert.deepEqual(encoded.rejectedBy, { not_json: 6, not_object: 4 })
  for (const row of await read(encoded)) {
    if (row.raw === plain) assert.equal(row.parse_status, 'ok')
    else
      assert.deepEqual(filled(row), {
        parse_status: 'rejected',
        parse_error: bad.includes(String(row.raw)) ? 'not_json' : 'not_object',
      })
  }
})

test('an entry rejected before keeps its reason and note, whatever its text', async (t) => {
  const { rowsOf } = await encoderFixture(t, postgresLogs('a.b.c', { role: 'primary', serverName: 's' }))
  const rows = await rowsOf([
    { raw: plain, reject: 'too_long', note: '20000000 bytes' },
    { raw: plain, reject: 'transform_error' },
  ])
  assert.deepEqual(rows.map(filled), [
    { parse_status: 'rejected', parse_error: 'too_long: 20000000 bytes' },
    { parse_status: 'rejected', parse_error: 'transform_error' },
  ])
  assert.deepEqual(
    rows.map(({ raw }) => raw),
    [plain, plain],
  )
})

test('a note makes an otherwise normal row partial, and joins what else is wrong', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const [noted, both, empty] = await rowsOf([
    { raw: plain, note: 'invalid_utf8: 2 bytes' },
    { raw: `{${head},"txid":"x"}`, note: 'invalid_utf8: 1 byte' },
    { raw: plain, note: '' },
  ])
  assert.deepEqual(
    [noted!.parse_status, noted!.parse_error, noted!.message],
    ['partial', 'invalid_utf8: 2 bytes', 'm'],
  )
  assert.deepEqual(
    [both!.parse_status, both!.parse_error],
    ['partial', 'invalid_utf8: 1 byte; bad_value: txid = x'],
  )
  assert.deepEqual([empty!.parse_status, empty!.parse_error], ['ok', null])
})

test('a strict table rejects what would be partial', async (t) => {
  const { encoder, spool, read } = await encoderFixture(
    t,
    postgresLogs('a.b.c', { strict: true, role: 'primary' }),
  )
  const encoded = await encoder.encode(
    await spool([
      { raw: `{${head},"txid":"x"}` },
      { raw: '{"a":1}' },
      { raw: plain, note: 'invalid_utf8: 2 bytes' },
      { raw: plain },
    ]),
  )
  assert.deepEqual([encoded.rejected, encoded.partial], [3, 0])
  assert.deepEqual(encoded.rejectedBy, { bad_value: 1, unknown_shape: 1, invalid_utf8: 1 })
  const [bad, unknown, noted, good] = (await read(encoded)).map(filled)
  assert.deepEqual(bad, { parse_status: 'rejected', parse_error: 'bad_value: txid = x' })
  assert.deepEqual(unknown, { parse_status: 'rejected', parse_error: 'unknown_shape' })
  assert.deepEqual(noted, { parse_status: 'rejected', parse_error: 'invalid_utf8: 2 bytes' })
  assert.deepEqual([good!.message, good!.source_role, good!.parse_status], ['m', 'primary', 'ok'])
  assert.equal(encoded.files.length, 2, 'rejected rows have no date')
})

test('the JSON of an entry is projected in place of its text', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const [row] = await rowsOf([{ raw: 'two on a line', json: plain }])
  assert.deepEqual([row!.raw, row!.message, row!.parse_status], ['two on a line', 'm', 'ok'])
})

test('control characters in raw text come through, and make no row of their own', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const texts = [
    'a\u0000b',
    'a\u001fb\u001f\u001f',
    '{"a":\r"b"}',
    'tab\there',
    '\r',
    'é\u0000💥',
    '"quoted"\u0001',
  ]
  const rows = await rowsOf(texts.map((raw) => ({ raw })))
  assert.deepEqual(
    rows.map(({ raw }) => raw),
    texts,
  )
})

test('escaped NUL and lone surrogates are read, not refused', async (t) => {
  const nul = await rowOf(t, `{${head.replace('"m"', String.raw`"a\u0000b"`)}}`)
  assert.deepEqual([nul.message, nul.parse_status], ['a\u0000b', 'ok'])
  const lone = await rowOf(
    t,
    `{${head.replace('"m"', String.raw`"\ud800 \udc00 \ud83d\ude00 \\ud800 \ud83d"`)}}`,
  )
  assert.deepEqual([lone.message, lone.parse_status], ['\ufffd \ufffd 😀 \\ud800 \ufffd', 'ok'])
})

test('extra columns are read from their keys, typed and enforced', async (t) => {
  const declaration = postgresLogs('a.b.c', {
    extraColumns: [
      { name: 'region', type: 'string', from: 'labels.region' },
      { name: 'shard', type: 'integer', from: 'shard' },
      { name: 'big', type: 'long', from: 'labels.big' },
      { name: 'ratio', type: 'double', from: 'ratio' },
      { name: 'is_test', type: 'boolean', from: 'is test' },
      { name: 'day', type: 'date', from: 'day' },
      { name: 'seen', type: 'timestamp', from: 'seen' },
    ],
  })
  const extra = `"labels":{"region":"eu","big":-9223372036854775808},"shard":7,"ratio":0.5,"is test":true,"day":"2026-02-03","seen":"2026-02-03T04:05:06Z"`
  const row = await rowOf(t, `{${head},${extra}}`, declaration)
  assert.deepEqual(
    [row.region, row.shard, row.big, row.ratio, row.is_test, row.day, row.seen, row.parse_status],
    ['eu', 7, '-9223372036854775808', 0.5, true, '2026-02-03', '2026-02-03 04:05:06+00', 'ok'],
  )
  const bad = await rowOf(
    t,
    `{${head},"labels":{"region":"","big":1.5},"shard":"x","ratio":"wide","is test":1,"day":"today","seen":"then"}`,
    declaration,
  )
  assert.deepEqual(
    [bad.region, bad.shard, bad.big, bad.ratio, bad.is_test, bad.day, bad.seen],
    [null, null, null, null, null, null, null],
  )
  assert.equal(
    bad.parse_error,
    'bad_value: shard = x, big = 1.5, ratio = wide, is_test = 1, day = today, seen = then',
  )
  const without = await rowOf(t, plain, declaration)
  assert.deepEqual([without.region, without.parse_status], [null, 'ok'])
})

test('a batch of one date is one file, and of several dates one file each, without the date inside', async (t) => {
  const { encoder, engine, spool, outputDirectory } = await encoderFixture(t)
  const on = (time: string): TestEntry => ({ raw: plain.replace('2026-11-24 08:54:35.875', time) })
  const one = await encoder.encode(
    await spool([on('2026-11-24 00:00:00.000'), on('2026-11-24 23:59:59.999')]),
  )
  assert.deepEqual(
    one.files.map(({ rows, partition }) => [rows, [...partition]]),
    [[2, [['event_date', '2026-11-24']]]],
  )
  assert.match(one.files[0]!.path, /\/part-00000-[0-9a-f-]{36}\.zstd\.parquet$/)

  const several = await encoder.encode(
    await spool([
      on('2026-11-24 23:59:59.999'),
      on('2026-11-25 00:00:00.000'),
      { raw: 'nope' },
      on('2026-11-25 01:00:00.000'),
    ]),
  )
  assert.deepEqual(
    new Map(several.files.map(({ rows, partition }) => [partition.get('event_date'), rows])),
    new Map([
      ['2026-11-24', 1],
      ['2026-11-25', 2],
      [null, 1],
    ]),
  )
  assert.deepEqual([several.rows, several.rejected], [4, 1])
  for (const { path } of several.files) {
    assert.match(path, /\/part-00000-[0-9a-f-]{36}\.zstd\.parquet$/)
    const columns = await engine.rows(
      `DESCRIBE SELECT * FROM read_parquet('${path}', hive_partitioning = false)`,
    )
    const declared = postgresLogs('a.b.c')
      .columns.map(({ name }) => name)
      .filter((name) => name !== 'event_date')
    assert.deepEqual(
      columns.map(({ column_name }) => column_name),
      declared,
    )
  }
  const left = (await readdir(outputDirectory, { recursive: true })).filter((name) =>
    name.endsWith('.parquet'),
  )
  assert.equal(left.length, 4, 'no other file is left')
})

test('for a table without partition folders, a batch of several dates is one file with every column', async (t) => {
  const { engine, outputDirectory, spool, read } = await encoderFixture(t)
  const declaration = postgresLogs('logs.public.server')
  const encoder = new SpoolEncoder({ engine, declaration, outputDirectory, files: 'whole', nowMs: () => 0 })
  const times = ['2026-11-24 23:59:59.999', '2026-11-25 00:00:00.000', '2026-11-26 00:00:00.000']
  const entries = times.map((time) => ({ raw: plain.replace('2026-11-24 08:54:35.875', time) }))
  const encoded = await encoder.encode(await spool(entries))
  assert.equal(encoded.files.length, 1)
  assert.equal(encoded.rows, 3)
  const rows = await read(encoded)
  assert.deepEqual(
    rows.map(({ event_date }) => event_date),
    ['2026-11-24', '2026-11-25', '2026-11-26'],
  )
  assert.deepEqual(
    Object.keys(rows[0] ?? {}),
    declaration.columns.map(({ name }) => name),
  )
})

test('a declaration names the partition columns of its files, or none', async (t) => {
  const { engine, outputDirectory, spool, read } = await encoderFixture(t)
  const usual = postgresLogs('logs.public.server')
  const lines = ['ERROR', 'LOG', 'ERROR', "o'dd"].map((level) => ({
    raw: plain.replace('"error_severity":"LOG"', `"error_severity":"${level}"`),
  }))
  const filesOf = async (changes: Partial<TableDeclaration>) => {
    const encoder = new SpoolEncoder({ engine, declaration: { ...usual, ...changes }, outputDirectory })
    return encoder.encode(await spool([...lines, { raw: 'no JSON' }]))
  }

  const level = { name: 'level', type: 'string', comment: 'Severity, or none.' } as const
  const byLevel = await filesOf({
    columns: [...usual.columns.filter(({ name }) => name !== 'event_date'), level],
    partitionColumns: [{ column: 'level', fromSql: 'lower(severity)' }],
  })
  assert.deepEqual(
    new Map(byLevel.files.map(({ partition, rows }) => [partition.get('level'), rows])),
    new Map([
      ['error', 2],
      ['log', 1],
      ["o'dd", 1],
      [null, 1],
    ]),
  )
  const severities = (await read(byLevel)).map(({ severity }) => severity)
  assert.deepEqual(severities, ['ERROR', 'LOG', 'ERROR', "o'dd", null])

  const together = await filesOf({ partitionColumns: [] })
  assert.deepEqual(
    together.files.map(({ partition, rows }) => [[...partition], rows]),
    [[[], 5]],
  )
})

test('columns have the types of the declaration', async (t) => {
  const { encoder, engine, spool } = await encoderFixture(t)
  const { files } = await encoder.encode(await spool([{ raw: plain }]))
  const types = new Map([
    ['string', 'VARCHAR'],
    ['long', 'BIGINT'],
    ['integer', 'INTEGER'],
    ['double', 'DOUBLE'],
    ['timestamp', 'TIMESTAMP WITH TIME ZONE'],
  ])
  const stored = await engine.rows(
    `DESCRIBE SELECT * FROM read_parquet('${files[0]!.path}', hive_partitioning = false)`,
  )
  const declared = postgresLogs('a.b.c').columns.filter(({ name }) => name !== 'event_date')
  assert.deepEqual(
    stored.map(({ column_name, column_type }) => [column_name, column_type]),
    declared.map(({ name, type }) => [name, types.get(type)]),
  )
})

test('a batch may span hundreds of dates within the engine’s memory', async (t) => {
  const { encoder, spool } = await encoderFixture(t)
  const entries = Array.from({ length: 4000 }, (_, index): TestEntry => {
    const day = new Date(Date.UTC(2025, 0, 1 + (index % 200))).toISOString().slice(0, 10)
    return { raw: plain.replace('2026-11-24', day).replace('"m"', `"${'x'.repeat(2000)}"`) }
  })
  const encoded = await encoder.encode(await spool(entries))
  assert.equal(new Set(encoded.files.map(({ partition }) => partition.get('event_date'))).size, 200)
  assert.equal(encoded.rows, 4000)
})

/** The statements that write files, from now on. */
function copiesOf(engine: EmbeddedEngine, statements: string[] = []): string[] {
  const copy = engine.copy.bind(engine)
  engine.copy = (sql, signal) => {
    statements.push(sql)
    return copy(sql, signal)
  }
  const connect = engine.connect.bind(engine)
  engine.connect = async () => {
    const connection = await connect()
    copiesOf(connection, statements)
    return connection
  }
  return statements
}

test('a text that quotes an escaped surrogate takes no statement of its own, and a lone surrogate one more', async (t) => {
  const { engine, encoder, spool, read } = await encoderFixture(t)
  const statements = copiesOf(engine)
  const session = '"session_id":"692430a0.1267","session_start":"2026-11-24 09:00:00 UTC"'
  for (const [escapes, count, message] of [
    [String.raw`\\ud800`, 1, String.raw`\ud800`],
    [String.raw`\\\\ud800 \\\\`, 1, String.raw`\\ud800 \\`],
    [String.raw`\ud83d\ude00`, 2, '😀'],
    [String.raw`\ud800`, 2, '\ufffd'],
    [String.raw`\\\ud800`, 2, '\\\ufffd'],
  ] as const) {
    statements.length = 0
    const raw = `{${head.replace('"m"', `"${escapes}"`)},${session}}`
    const encoded = await encoder.encode(await spool([{ raw: plain.replace('}', `,${session}}`) }, { raw }]))
    const rows = await read(encoded)
    assert.deepEqual([rows[1]?.message, rows[1]?.parse_status], [message, 'ok'])
    assert.equal(statements.length, count, escapes)
  }
})

test('a batch of ordinary records of one producer takes one statement, and jsonlog beside them another one', async (t) => {
  const { engine, encoder, spool } = await encoderFixture(t)
  const statements = copiesOf(engine)
  for (const length of [600, 1_600]) {
    const message = `2026-11-24 08:54:35.875 UTC [77] LOG:  statement: ${'insert '.repeat(length / 7)}`
    const azure = JSON.stringify({
      time: '2026-11-24T08:54:36Z',
      category: 'PostgreSQLLogs',
      properties: { message, processId: 77, errorLevel: 'LOG', timestamp: '2026-11-24 08:54:35.875 UTC' },
    })
    for (const raw of [azure, JSON.stringify({ log: azure, stream: 'stderr' })]) {
      const rows = Math.ceil(24_000_000 / raw.length)
      const entries = Array.from({ length: rows }, () => ({ raw }))
      const beside = length === 600 ? [[{ raw: plain }, ...entries]] : []
      for (const batch of [entries, ...beside]) {
        statements.length = 0
        const encoded = await encoder.encode(await spool(batch))
        assert.deepEqual([encoded.rows, encoded.rejected, encoded.partial], [batch.length, 0, 0])
        assert.equal(statements.length, batch === entries ? 1 : 2, `${raw.length} bytes`)
      }
    }
  }
})

test('lines of 16 MiB of several producers are encoded within the engine’s memory', async (t) => {
  const { engine, encoder, spool } = await encoderFixture(t)
  const text = 'y'.repeat(16 * 1024 * 1024 - 512)
  const logged = `2026-11-24 08:54:35.875 UTC [77] LOG:  statement: ${text}`
  const properties = { message: logged, processId: 77, errorLevel: 'LOG' }
  const azure = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs' }
  const audited = `2026-11-24 08:54:35.875 UTC [77] LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"${text}",<none>`
  const jsonlog = `{${head.replace('"m"', `"statement: ${text}"`)}}`
  const long = [
    jsonlog,
    JSON.stringify({ ...azure, properties }),
    JSON.stringify({ ...azure, properties: JSON.stringify(properties) }),
    JSON.stringify({ log: `${jsonlog}\n`, stream: 'stderr' }),
    JSON.stringify({ ...azure, properties: { ...properties, message: audited } }),
  ]
  const encoded = await encoder.encode(await spool([plain, ...long, plain].map((raw) => ({ raw }))))
  // One result of all these texts is longer than a string of JavaScript may be.
  const rows = await engine.rows(`SELECT parse_status, strlen(message)::INTEGER AS message,
      strlen(statement)::INTEGER AS statement, strlen(raw)::INTEGER AS raw
    FROM ${parquetSql(encoded.files.map(({ path }) => path))} ORDER BY source_offset`)
  const short = { parse_status: 'ok', message: 1, statement: null, raw: plain.length }
  const row = (raw: string) => ({
    parse_status: 'ok',
    message: raw.includes('AUDIT')
      ? audited.length - audited.indexOf('AUDIT')
      : 'statement: '.length + text.length,
    statement: text.length,
    raw: raw.length,
  })
  assert.deepEqual(rows, [short, ...long.map(row), short])
})

test('an empty batch is no file', async (t) => {
  const { encoder, spool } = await encoderFixture(t)
  assert.deepEqual(await encoder.encode(await spool([])), { files: [], rows: 0, rejected: 0, partial: 0 })
})

test('a failed batch leaves no file, and its error quotes no record', async (t) => {
  const { encoder, spool, outputDirectory } = await encoderFixture(t)
  const batch = await spool([{ raw: plain }])
  await assert.rejects(
    encoder.encode({ ...batch, spoolPath: `${batch.spoolPath}-secret` }),
    (error: Error & { code?: string; cause?: unknown }) => {
      assert.equal(error.code, 'ENCODE_FAILED')
      assert.equal(error.message, 'batch batch-0 could not be encoded: ENOENT')
      return true
    },
  )
  await assert.rejects(access(`${outputDirectory}/encode-${batch.id}`))
})

test('every entry is one row with its own place, whatever the mix', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const text = fc.oneof(
    fc.constant(plain),
    fc.json().map((json) => json),
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary-ascii' }),
    fc
      .record({ category: fc.constant('PostgreSQLLogs'), properties: fc.jsonValue() })
      .map((record) => JSON.stringify(record)),
    fc.record({ log: fc.string(), time: fc.string() }).map((record) => JSON.stringify(record)),
    fc
      .record({
        timestamp: fc.string(),
        pid: fc.jsonValue(),
        error_severity: fc.string(),
        message: fc.jsonValue(),
        session_id: fc.string(),
      })
      .map((record) => JSON.stringify(record)),
  )
  const reject = fc.constantFrom<(RejectReason | undefined)[]>(
    undefined,
    undefined,
    undefined,
    'too_long',
    'not_json',
  )
  const entry = fc.record({
    raw: text.map((raw) => raw.replaceAll('\n', ' ')),
    index: fc.nat(3),
    reject,
    note: fc.constantFrom(undefined, '', 'a note'),
    spanIndex: fc.nat(2),
  })
  const spans: Span[] = [0, 1, 2].map((number) => ({
    blob: `c/${number}`,
    generation: 'g',
    start: number * 1000,
    end: 1e9,
  }))
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 200 }), async (drawn) => {
      const next = spans.map(({ start }) => start)
      const placed = drawn.map((given): TestEntry & { offset: number; length: number } => {
        const length = Buffer.byteLength(given.raw) + 1
        const offset = next[given.spanIndex]!
        next[given.spanIndex] = offset + length
        return {
          raw: given.raw,
          spanIndex: given.spanIndex,
          index: given.index,
          offset,
          length,
          ...(given.reject && { reject: given.reject }),
          ...(given.note !== undefined && { note: given.note }),
        }
      })
      const rows = await rowsOf(placed, spans)
      const expected = placed
        .map(({ spanIndex, offset, length, index, raw }) => [
          `c/${spanIndex}`,
          String(offset),
          String(length),
          index,
          raw,
        ])
        .sort((a, b) => (a[0] === b[0] ? Number(a[1]) - Number(b[1]) : String(a[0]) < String(b[0]) ? -1 : 1))
      assert.deepEqual(
        rows.map((row) => [row.source_blob, row.source_offset, row.source_length, row.source_index, row.raw]),
        expected,
      )
    }),
    { numRuns: 25 },
  )
})

test('encoders that share a queue take turns', async (t) => {
  const turns = new SerialQueue()
  let running = 0
  const encodeOne = async (): Promise<number> => {
    const { engine, directory, spool } = await encoderFixture(t)
    const copy = engine.copy.bind(engine)
    engine.copy = async (...statement) => {
      running += 1
      assert.equal(running, 1)
      return copy(...statement).finally(() => {
        running -= 1
      })
    }
    const declaration = postgresLogs('logs.public.server')
    const encoder = new SpoolEncoder({ engine, declaration, outputDirectory: directory, turns })
    const batches = await Promise.all([spool([{ raw: plain }]), spool([{ raw: plain }, { raw: plain }])])
    const encoded = await Promise.all(batches.map((batch) => encoder.encode(batch)))
    return encoded.reduce((sum, { rows }) => sum + rows, 0)
  }
  assert.deepEqual(await Promise.all([encodeOne(), encodeOne()]), [3, 3])
})
