import assert from 'node:assert/strict'
import test from 'node:test'
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

/** Lines of nearly 16 MiB of several producers. */
function longLines(): string[] {
  const text = 'INSERT INTO t VALUES (1, 2), '.repeat((16 * mebibyte - 1_024) / 29)
  const logged = (message: string): string => `2026-11-24 08:54:35.875 UTC [77] LOG:  ${message}`
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

test('lines of 16 MiB of several producers land within 450 MB of memory', { skip }, async (t) => {
  const storage = await startStorage(t)
  const lines = longLines()
  for (const line of [...lines, ...lines]) {
    const bytes = Buffer.from(`${line}\n`)
    for (let start = 0; start < bytes.length; start += 4 * mebibyte)
      await storage.append('long.json', bytes.subarray(start, start + 4 * mebibyte))
  }
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'long.json' } },
    batch: { maxAgeMs: 60_000 },
  })
  const run = await runTailrace(t, ['start', '--once', '--config', project.configPath], {
    env: { NODE_OPTIONS: `--import ${printPeak}` },
  })
  assert.equal(run.code, 0, run.stderr)
  const { rows, rejected } = JSON.parse(run.stdout).pipelines.primary
  assert.deepEqual([rows, rejected], [2 * lines.length, 0])
  const kibibytes = Number(/VmHWM:\s+(\d+) kB/.exec(run.stderr)?.[1])
  assert.ok(kibibytes > 0 && kibibytes * 1024 <= 450e6, `${kibibytes} KiB`)
})
