import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { landWithinMemory, linesAsBytes, skipWithoutPeak as skip } from '../support/land-within-memory.ts'

const mebibyte = 1024 * 1024

const longestBytes = 16 * mebibyte - 1_024
const serverPrefix = '2026-11-24 08:54:35.875 UTC [77] LOG:  '

function longText(): string {
  return 'INSERT INTO t VALUES (1, 2), '.repeat(longestBytes / 29)
}

/** Lines of nearly 16 MiB of several producers. */
function longLines(): string[] {
  const text = longText()
  const logged = (message: string): string => `${serverPrefix}${message}`
  const azure = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs' }
  const properties = (message: string) => ({ message: logged(message), processId: 77, errorLevel: 'LOG' })
  const audit = `AUDIT: SESSION,1,1,WRITE,INSERT,,,"${text}",<none>`
  const record = JSON.stringify({ ...azure, properties: properties(`statement: ${text}`) })
  return [
    JSON.stringify({ ...azure, properties: properties(audit) }),
    JSON.stringify({ ...azure, properties: JSON.stringify(properties(`statement: ${text}`)) }),
    JSON.stringify({ log: record, stream: 'stderr' }),
    logged(`statement: ${text}`),
  ]
}

/** A line of 16 MiB with a record in a string of a record in a string. */
function nestedLine(): string {
  const message = `${serverPrefix}${longText()}`
  const properties = JSON.stringify({ message, processId: 77, errorLevel: 'LOG' })
  const record = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs', properties }
  return JSON.stringify({ log: JSON.stringify(record) })
}

test('lines of 16 MiB of several producers, also a record in a string of a record in a string, land within 450 MB of memory', {
  skip,
}, async (t) => {
  const nested = nestedLine()
  const lines = [...longLines(), nested, ...longLines(), nested]
  await landWithinMemory(t, { 'nested.json': linesAsBytes(lines) }, { rows: lines.length, rejected: 0 })
})

test('lines of 16 MiB in gzip members land within 450 MB of memory', { skip }, async (t) => {
  const lines = linesAsBytes([...longLines(), nestedLine()])
  const members = [lines.slice(0, 3), lines.slice(3)].map((part) =>
    gzipSync(Buffer.concat(part), { level: 1 }),
  )
  await landWithinMemory(t, { 'long.gz.json': members }, { rows: lines.length, rejected: 0 })
})

test('a backlog of text lines of 16 MiB in many blobs lands within 450 MB of memory', { skip }, async (t) => {
  const line = linesAsBytes([`${serverPrefix}${longText()}`])
  const blobs = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [`text-${index}.json`, line]))
  await landWithinMemory(t, blobs, { rows: 6, rejected: 0 })
})

test('lines of 16 MiB of control characters or undecodable bytes land within 450 MB of memory, as rejected rows', {
  skip,
}, async (t) => {
  const lines = [0x01, 0x1f, 0xff].map((byte) =>
    Buffer.concat([Buffer.from(serverPrefix), Buffer.alloc(longestBytes, byte)]),
  )
  await landWithinMemory(t, { 'control.json': linesAsBytes(lines) }, { rows: 3, rejected: 3 })
})
