import assert from 'node:assert/strict'
import test from 'node:test'
import { topLines } from '../../src/commands/top.ts'
import { type LiveStatus, LiveStatusFile } from '../../src/run/live-status.ts'
import { eventually } from '../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { noTerminalReason, startOnTerminal } from '../support/terminal-process.ts'
import { writeProject } from '../support/test-project.ts'

const running = {
  pid: 1,
  atMs: 10_000,
  isRunning: true,
  phase: 'backfill' as LiveStatus['phase'],
  percent: 40,
  leftSeconds: 42,
  bytesPerSecond: 28_400_000,
  rowsPerSecond: 52_000,
  rows: 72_724,
  rejected: 3,
  bytes: 39_766_990,
  lagBytes: 1_200_000_000,
  lanes: 4,
  setAside: 1,
  isHeld: true,
  landedAtMs: 8_000,
  tableVersion: 12,
  blobs: [{ blob: 'logs/一.ndjson', offset: 1_000, bytes: 5_000_000 }],
}

test('top aligns pipelines and blobs, and names gate, last commit and failures', () => {
  const rows = [
    { name: '一次', status: running },
    { name: 'failed', status: { ...running, isRunning: false, failure: 'TABLE_CORRUPT: a file is missing' } },
    {
      name: 'follows',
      status: { ...running, phase: 'following' as const, percent: undefined, isHeld: false },
    },
    { name: 'old', status: { ...running, atMs: -10_000 } },
    { name: 'none', status: undefined },
  ]
  assert.deepEqual(topLines(rows, 10_000, undefined).slice(1), [
    '',
    'PIPELINE  STATE         ROWS/S  MB/S      LAG  LEFT            LANES  GATE        LAST COMMIT             ROWS  REJECTED',
    '一次      backfill 40%  52,000  28.4  1.20 GB  42 s  4 (1 set aside)  HELD: disk  2 s ago (version 12)  72,724         3',
    'failed    failed        52,000  28.4  1.20 GB  42 s  4 (1 set aside)  HELD: disk  2 s ago (version 12)  72,724         3',
    'follows   following     52,000  28.4  1.20 GB     -  4 (1 set aside)  open        2 s ago (version 12)  72,724         3',
    'old       not running        -     -        -     -                -  -           -                          -         -',
    'none      not running        -     -        -     -                -  -           -                          -         -',
    '',
    'failed: TABLE_CORRUPT: a file is missing',
    '',
    'PIPELINE  BLOB            OFFSET       SIZE     LAG',
    '一次      logs/一.ndjson   1,000  5,000,000  5.0 MB',
    'failed    logs/一.ndjson   1,000  5,000,000  5.0 MB',
    'follows   logs/一.ndjson   1,000  5,000,000  5.0 MB',
    'old       logs/一.ndjson   1,000  5,000,000  5.0 MB',
  ])
})

test('top shows what a running process does, and that it has ended', async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary', linesAsBytes([jsonlogLine(0), jsonlogLine(1)]))
  const { configPath, stateDirectory } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const env = { TAILRACE_CONFIG: configPath }
  const none = await runTailrace(t, ['top', '--once'], { env })
  assert.match(none.stdout, /\nprimary {3}not running /)
  const pipeline = startTailrace(t, ['start'], { env })
  const live = new LiveStatusFile(stateDirectory, 'primary')
  await eventually(async () => {
    const found = await live.read()
    return found?.rows === 2 && found.phase === 'following'
  }, 'status of the landed rows')
  const shown = await runTailrace(t, ['top'], { env })
  assert.match(shown.stdout, /\nprimary {3}following .* open {2}\d+ s ago \(version \d+\) +2 +0\n/)
  const json = await runTailrace(t, ['top', '--json'], { env })
  assert.equal(JSON.parse(json.stdout).rows, 2)
  pipeline.kill('SIGTERM')
  assert.equal((await pipeline.exited).code, 143)
  const after = await runTailrace(t, ['top', '--once'], { env })
  assert.match(after.stdout, /\nprimary {3}not running /)
})

test('on a terminal top is redrawn until Ctrl-C, and Ctrl-C ends a script of a package manager without a failure', {
  skip: skipUnless(noTerminalReason),
}, async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary', linesAsBytes([jsonlogLine(0)]))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const env = { TAILRACE_CONFIG: configPath }
  const script = startOnTerminal(t, ['start'], { ...env, npm_lifecycle_event: 'start' })
  await script.until(/ {2}1 rows .* ms {2}logs\/primary @ \d+/)
  const top = startOnTerminal(t, ['top'], env)
  await top.until(/primary {3}following/)
  await top.until(/primary {3}following/)
  top.type('\u0003')
  assert.equal(await top.exited, 0)
  await script.until(/primary: following, lag 0 B/)
  script.type('\u0003')
  assert.equal(await script.exited, 0, script.shown)
  const plain = startOnTerminal(t, ['start'], { ...env, NO_COLOR: '1' })
  await plain.until(/a blob goes on/)
  plain.type('\u0003')
  assert.equal(await plain.exited, 130)
  for (const color of [31, 32, 33, 36]) assert.ok(!plain.shown.includes(`\u001b[${color}m`), plain.shown)
})
