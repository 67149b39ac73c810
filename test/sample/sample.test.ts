import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { summaryRow } from '../../sample/summary-row.ts'

const folder = new URL('../../sample/', import.meta.url)
const logs = {
  primary: gunzipSync(readFileSync(new URL('logs/primary.ndjson.gz', folder))),
  replica: gunzipSync(readFileSync(new URL('logs/replica.ndjson.gz', folder))),
}

interface LogRecord extends Record<string, string | number | undefined> {
  message: string
  error_severity: string
}

/** Decodes strictly: a byte that is no UTF-8 throws. */
const linesOf = (log: Buffer) =>
  new TextDecoder('utf-8', { fatal: true }).decode(log).split('\n').slice(0, -1)
const lines = { primary: linesOf(logs.primary), replica: linesOf(logs.replica) }
const records = {
  primary: lines.primary.map((line): LogRecord => JSON.parse(line)),
  replica: lines.replica.map((line): LogRecord => JSON.parse(line)),
}

for (const server of ['primary', 'replica'] as const) {
  test(`every line of the ${server}'s log is a JSON object with the ten keys that jsonlog always writes`, () => {
    const always =
      'timestamp pid session_id line_num session_start txid error_severity message backend_type query_id'.split(
        ' ',
      )
    assert.equal(logs[server].at(-1), 0x0a)
    const incomplete = records[server].filter((record) => !always.every((key) => key in record))
    assert.deepEqual(incomplete, [])
  })

  test(`the ${server}'s log holds query ids of both signs that no JavaScript number can hold`, () => {
    const ids = lines[server].map((line) => BigInt(/"query_id":(-?\d+)\}$/.exec(line)![1]!))
    assert.ok(ids.some((id) => id > 2n ** 53n))
    assert.ok(ids.some((id) => id < -(2n ** 53n)))
    assert.ok(ids.some((id) => BigInt(Number(id)) !== id))
  })

  test(`the ${server}'s log holds statements of several lines, quotes, backslashes and text beyond ASCII`, () => {
    const messages = records[server].map((record) => record.message)
    for (const wanted of [
      /duration: .*\n.*\n/,
      /"/,
      /\\/,
      /[À-ÿ]/,
      /[\u3040-\u9fff]/,
      /\p{Emoji_Presentation}/u,
    ]) {
      assert.ok(
        messages.some((message) => wanted.test(message)),
        `${wanted} is not there`,
      )
    }
  })

  test(`the ${server}'s log holds the severities and the rare keys that a server writes`, () => {
    const severities = new Set(records[server].map((record) => record.error_severity))
    for (const severity of ['LOG', 'WARNING', 'ERROR', 'FATAL']) assert.ok(severities.has(severity), severity)
    const keys = new Set(records[server].flatMap((record) => Object.keys(record)))
    const rare =
      'state_code detail hint context statement cursor_position leader_pid remote_port application_name'
    const verbose = 'func_name file_name file_line_num'
    for (const key of `${rare} ${verbose}`.split(' ')) assert.ok(keys.has(key), key)
  })

  test(`the ${server}'s log does not reveal where it was recorded`, () => {
    const telling = /\/(tmp|work|home|root|Users|private)\//
    assert.deepEqual(
      lines[server].filter((line) => telling.test(line)),
      [],
    )
  })

  test(`the README counts the ${server}'s log as it is`, () => {
    // The formatter pads the cells of a table.
    const readme = readFileSync(new URL('README.md', folder), 'utf8').replaceAll(/ +/g, ' ')
    assert.ok(readme.includes(summaryRow(server, logs[server])), summaryRow(server, logs[server]))
  })
}

test('the primary met more than fifty kinds of error, among them a deadlock and a failed login', () => {
  const states = new Set(records.primary.map((record) => record.state_code))
  assert.ok(states.size > 50, `${states.size} kinds`)
  for (const state of ['40P01', '40001', '28P01', '57014', '23505', '42601'])
    assert.ok(states.has(state), state)
})

test('the replica refused writes and canceled what stood in the way of its recovery', () => {
  const states = new Set(records.replica.map((record) => record.state_code))
  for (const state of ['25006', '40001', '57014', '28P01']) assert.ok(states.has(state), state)
})

test('clients came over TCP and over a socket, and some ran prepared statements', () => {
  const hosts = new Set(records.primary.map((record) => record.remote_host))
  assert.deepEqual([...hosts].sort(), ['127.0.0.1', '[local]', undefined])
  assert.ok(records.primary.some((record) => /execute \S+: /.test(record.message)))
  assert.ok(records.primary.some((record) => /^parameters: /.test(String(record.detail))))
})

test('the longest line is longer than 64 KiB', () => {
  assert.ok(lines.primary.some((line) => Buffer.byteLength(line) > 65_536))
})
