import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { isTailraceError } from '../../src/errors.ts'
import { escapeDecodedJson, escapeText } from '../../src/reporting/escape-text.ts'
import { createLogger } from '../../src/reporting/logger.ts'
import { standardOutput } from '../../src/reporting/terminal.ts'

/** Written out rather than taken from Unicode's properties, which the code goes by. */
const dangerous: readonly (readonly [from: number, to: number])[] = [
  [0x00, 0x08],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x180e, 0x180e],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe0fff],
]
const printable = ['\n', '\t', ' ', '~', 'é', '漢', '😀', '\u0301', 'ا', '\u00a0', '\ufffd', '\u{10ffff}']

test('of all code points, none that a terminal executes, reorders or hides is left, and JSON stays the same JSON', () => {
  const escaped = /^(?:\\u[0-9a-f]{4}){1,2}$/
  for (let code = 0; code <= 0x10ffff; code += 1) {
    const character = String.fromCodePoint(code)
    const text = escapeText(character)
    assert.ok(text === character || escaped.test(text), text)
    if (text !== character) assert.equal(JSON.parse(`"${text}"`), character)
  }
  for (const [from, to] of dangerous) {
    for (let code = from; code <= to; code += 1) {
      assert.match(escapeText(String.fromCodePoint(code)), escaped, code.toString(16))
    }
  }
  for (const character of printable) assert.equal(escapeText(character), character)
  const value = { '\u001b[2J\u202e': ['\ud800', '\udc00\ud800', '\u{e0041}', '\\u001b', 'a"\\\u2028'] }
  assert.deepEqual(JSON.parse(escapeText(JSON.stringify(value))), value)
})

test('characters that JSON escapes stay visible when its strings are decoded', () => {
  const text =
    'ESC \u001b, C1 \u009b, bidi \u202e, back \b, return \r, literal \\u001b and \\\\b, \n\t"\u{e0041}é'
  const shown = JSON.parse(escapeDecodedJson(JSON.stringify(text)))
  assert.equal(
    shown,
    'ESC \\u001b, C1 \\u009b, bidi \\u202e, back \\b, return \\r, literal \\u001b and \\\\b, \n\t"\\udb40\\udc41é',
  )
})

test('no log line has a control character of its data, in JSON or for a person', () => {
  const hostile = 'a\u001b[2J\u009b31m\u202e\u2028\u200b\r\u007fb'
  for (const pretty of [false, true]) {
    const lines: string[] = []
    const logger = createLogger({ level: 'info', pretty, output: { write: (line) => void lines.push(line) } })
    logger.info({ blob: hostile, [hostile]: 1, deep: { list: [hostile] } }, hostile)
    logger.error(
      { err: Object.assign(new Error(hostile), { stack: hostile, cause: new Error(hostile) }) },
      hostile,
    )
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the logger's own colors.
    const own = /\u001b\[\d+m/g
    for (const line of lines) assert.equal(escapeText(line.replace(own, '')), line.replace(own, ''))
    assert.match(lines[0]!, /\\u202e/)
  }
})

/** A stream that fails its second write. */
function failing(code: string): Writable {
  let writes = 0
  return new Writable({
    write: (_chunk, _encoding, done) => {
      writes += 1
      done(writes === 2 ? Object.assign(new Error(`write ${code}`), { code }) : undefined)
    },
  })
}

test('a reader that closes the pipe is reported to the printer, and a full disk is an error', async () => {
  const closed = standardOutput(failing('EPIPE'))
  assert.deepEqual([await closed('a'), await closed('b'), await closed('c')], [true, false, false])
  const full = standardOutput(failing('ENOSPC'))
  assert.equal(await full('a'), true)
  await assert.rejects(
    full('b'),
    (error) => isTailraceError(error, 'OUTPUT_FAILED') && /ENOSPC/.test(error.message),
  )
})
