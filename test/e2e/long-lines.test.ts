import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { runTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const mebibyte = 1024 * 1024

/** Linux counts the peak of resident memory; the process prints it when it ends. */
const printPeak = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync } from 'node:fs'
  process.on('exit', () => process.stderr.write(readFileSync('/proc/self/status', 'utf8').match(/VmHWM:.*/)[0]))
`)}`

const skip = skipUnless(process.platform === 'linux' ? false : 'the peak of memory is read from /proc')

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

/** Appends lines to blobs, lands all of them, and requires that the process needed at most 450 MB. */
async function landWithinMemory(
  t: TestContext,
  blobs: Readonly<Record<string, readonly (string | Buffer)[]>>,
  expected: { readonly rows: number; readonly rejected: number },
): Promise<void> {
  const storage = await startStorage(t)
  for (const [name, lines] of Object.entries(blobs)) {
    for (const line of lines) {
      const bytes = Buffer.concat([Buffer.from(line), Buffer.from('\n')])
      for (let start = 0; start < bytes.length; start += 4 * mebibyte)
        await storage.append(name, bytes.subarray(start, start + 4 * mebibyte))
    }
  }
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: '*.json' } },
    batch: { maxAgeMs: 60_000 },
  })
  const run = await runTailrace(t, ['start', '--once', '--config', project.configPath], {
    env: { NODE_OPTIONS: `--import ${printPeak}` },
  })
  assert.equal(run.code, 0, run.stderr)
  const { rows, rejected } = JSON.parse(run.stdout).pipelines.primary
  assert.deepEqual({ rows, rejected }, expected)
  const kibibytes = Number(/VmHWM:\s+(\d+) kB/.exec(run.stderr)?.[1])
  assert.ok(kibibytes > 0 && kibibytes * 1024 <= 450e6, `${kibibytes} KiB`)
}

test('lines of 16 MiB of several producers land within 450 MB of memory', { skip }, async (t) => {
  const lines = longLines()
  const rows = 2 * lines.length
  await landWithinMemory(t, { 'long.json': [...lines, ...lines] }, { rows, rejected: 0 })
})

test('a line of 16 MiB with a record in a string of a record in a string lands within 450 MB of memory', {
  skip,
}, async (t) => {
  const properties = JSON.stringify({
    message: `${serverPrefix}${longText()}`,
    processId: 77,
    errorLevel: 'LOG',
  })
  const record = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs', properties }
  const line = JSON.stringify({ log: JSON.stringify(record) })
  await landWithinMemory(t, { 'nested.json': [line, line] }, { rows: 2, rejected: 0 })
})

test('a backlog of text lines of 16 MiB in many blobs lands within 450 MB of memory', { skip }, async (t) => {
  const line = `${serverPrefix}${longText()}`
  const blobs = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`text-${index}.json`, [line]]))
  await landWithinMemory(t, blobs, { rows: 10, rejected: 0 })
})

test('lines of 16 MiB of control characters or undecodable bytes land within 450 MB of memory, as rejected rows', {
  skip,
}, async (t) => {
  const lines = [0x01, 0x1f, 0xff].map((byte) =>
    Buffer.concat([Buffer.from(serverPrefix), Buffer.alloc(longestBytes, byte)]),
  )
  await landWithinMemory(t, { 'control.json': lines }, { rows: 3, rejected: 3 })
})
