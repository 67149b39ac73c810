import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce, mirroredOffset } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { noTerminalReason, startOnTerminal } from '../support/terminal-process.ts'
import { type TestConfig, type TestProject, writeProject } from '../support/test-project.ts'

const blob = 'primary.json'

function lines(from: number, count: number): Buffer {
  return linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))
}

interface Setup {
  readonly storage: TestStorage
  readonly project: TestProject
  /** `--config` and its path. */
  readonly config: readonly string[]
}

/** A storage, and a project of one pipeline `primary` that reads one blob of it. */
async function setUp(t: TestContext, more: Partial<TestConfig> = {}): Promise<Setup> {
  const storage = await startStorage(t)
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: blob } },
    ...more,
  })
  return { storage, project, config: ['--config', project.configPath] }
}

test('a first run without any setting lands the sample, sums it up in one line, and its tables can be queried', async (t) => {
  const directory = await temporaryDirectory(t)
  const env = { TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'), TAILRACE_STATE: join(directory, 'state') }
  const first = await runTailrace(t, ['start', '--once'], { env, asShipped: true })
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /^\{.*\}\n$/)
  const { pipelines } = JSON.parse(first.stdout) as {
    pipelines: Record<string, { rows: number; rejected: number; offsets: { offset: number }[] }>
  }
  assert.deepEqual(Object.keys(pipelines), ['primary', 'replica'])
  for (const { rows, rejected, offsets } of Object.values(pipelines)) {
    assert.ok(rows > 10_000)
    assert.equal(rejected, 0)
    assert.ok(offsets[0]!.offset > rows * 100)
  }

  const queried = await runTailrace(
    t,
    [
      'query',
      'select severity, count(*) as lines from primary_postgresql_logs_uat group by all order by all',
    ],
    { env, asShipped: true },
  )
  assert.equal(queried.code, 0, queried.stderr)
  const [header, ...printed] = queried.stdout.trimEnd().split('\n')
  assert.match(header!, /severity.*lines/)
  const counted = printed.flatMap((row) => /^\W*[A-Z]+\W+(\d+)\W*$/.exec(row)?.slice(1).map(Number) ?? [])
  assert.equal(
    counted.reduce((sum, count) => sum + count, 0),
    pipelines.primary!.rows,
  )
})

test('a wrong config exits with 2 and names every mistake at once', async (t) => {
  const { config } = await setUp(t, {
    pipelines: { primary: { blobs: '', pollMs: 1 }, replica: { blobs: blob, container: 'Not_A_Container' } },
    batch: { maxRows: 0 },
    disk: { minFreeBytes: 10, resumeFreeBytes: -1 },
  })
  const run = await runTailrace(t, ['start', '--once', ...config])
  assert.equal(run.code, 2)
  assert.equal(run.stdout, '')
  for (const path of [
    'pipelines.primary.source.blobs',
    'pipelines.primary.source.pollMs',
    'pipelines.primary.batch.maxRows',
    'pipelines.replica.source.container',
    'disk.resumeFreeBytes',
  ]) {
    assert.ok(run.stderr.includes(path), `${path} is not named:\n${run.stderr}`)
  }
})

test('SIGINT lands what was read, writes the offsets and exits with 130', async (t) => {
  const { storage, project, config } = await setUp(t, { batch: { maxAgeMs: 60_000 } })
  await storage.append(blob, lines(0, 50))
  const running = startTailrace(t, ['start', ...config])
  // Once the batch is open, only a seal is missing, which the batch's age would bring in a minute.
  const staging = project.stagingDirectory('primary')
  await eventually(async () => {
    const names = await readdir(staging).catch(() => [])
    return names.some((name) => name.endsWith('.spool'))
  }, 'open batch')
  running.kill('SIGINT')
  assert.deepEqual(await running.exited, { code: 130, signal: null }, running.stderr)
  assert.ok(running.logged('stopped'))
  assert.equal(running.stdout, '')
  const content = await storage.content(blob)
  const end = assertLandedOnce(blob, content, await readTable(project.tableDirectory('primary')))
  assert.equal(end, content.length)
  assert.equal(await mirroredOffset(project.offsetPath('primary'), blob), end)
  assert.deepEqual(
    (await readdir(staging)).filter((name) => name !== 'spill'),
    [],
  )
})

test('a terminal that is closed ends its run in order', { skip: noTerminalReason }, async (t) => {
  const { storage, project, config } = await setUp(t, { batch: { maxAgeMs: 60_000 } })
  await storage.append(blob, lines(0, 50))
  const running = startOnTerminal(t, ['start', ...config])
  const names = (directory: string) => readdir(directory).catch((): string[] => [])
  const staging = project.stagingDirectory('primary')
  await eventually(async () => (await names(staging)).some((name) => name.endsWith('.spool')), 'open batch')
  // Written once a second, and removed at the end.
  const live = 'primary.live.json'
  await eventually(async () => (await names(project.stateDirectory)).includes(live), 'live status')
  running.close()
  await eventually(async () => !(await names(project.stateDirectory)).includes(live), 'end of the run')
  const content = await storage.content(blob)
  const end = assertLandedOnce(blob, content, await readTable(project.tableDirectory('primary')))
  assert.equal(await mirroredOffset(project.offsetPath('primary'), blob), end)
})

test('SIGHUP ends a run that ends by itself, with 129', async (t) => {
  // Nothing listens there, so the run waits.
  const connectionString = 'BlobEndpoint=http://127.0.0.1:9/logs;SharedAccessSignature=sig=a'
  const { config } = await setUp(t, { storage: { kind: 'connection-string', connectionString } })
  const running = startTailrace(t, ['start', '--once', ...config])
  await running.until(() => running.log.some(({ level }) => level === 'warn'), 'a warning')
  running.kill('SIGHUP')
  assert.deepEqual(await running.exited, { code: 129, signal: null }, running.stderr)
})

test('--watch of a run that ends by itself is refused', async (t) => {
  const { config } = await setUp(t)
  const { code, stderr } = await runTailrace(t, ['start', '--once', '--watch', ...config])
  assert.equal(code, 2)
  assert.match(stderr, /USAGE: --watch and --once exclude each other/)
})

test('a second interrupt exits at once when the first one cannot come to its end', async (t) => {
  const { storage, config } = await setUp(t, {
    transforms: '[() => new Promise(() => { process.stderr.write(\'{"msg":"stuck"}\\n\') })]',
  })
  await storage.append(blob, lines(0, 1))
  const running = startTailrace(t, ['start', ...config])
  await running.until(() => running.logged('stuck'), 'the transform is stuck')
  running.kill('SIGINT')
  await running.until(() => running.logged('a second signal exits at once'), 'the first signal was heard')
  // Within a second of the first it counts as the same one, passed on by a wrapper.
  const again = setInterval(() => running.kill('SIGINT'), 300)
  t.after(() => clearInterval(again))
  assert.deepEqual(await running.exited, { code: 130, signal: null })
  assert.ok(!running.log.some(({ msg }) => msg === 'stopped' || String(msg).startsWith('not done in time')))
})

test('a range replayed twice gives the table of one run, and offsets stay', async (t) => {
  const { storage, project, config } = await setUp(t)
  await storage.append(blob, lines(0, 40))
  const line = Buffer.byteLength(jsonlogLine(0)) + 1
  assert.equal((await runTailrace(t, ['start', '--once', ...config])).code, 0)
  const before = await readTable(project.tableDirectory('primary'))
  const offset = await mirroredOffset(project.offsetPath('primary'), blob)
  const from = before[1]!.offset
  const to = before[30]!.offset

  const range = ['--pipeline', 'primary', '--blob', blob, '--from', String(from), '--to', String(to)]
  for (const time of ['first', 'second']) {
    const replayed = await runTailrace(t, ['replay', ...range, ...config])
    assert.equal(replayed.code, 0, replayed.stderr)
    const receipt = JSON.parse(replayed.stdout) as { rows: number; removedRows: number }
    assert.deepEqual([receipt.rows, receipt.removedRows], [29, 29], time)
    assert.deepEqual(await readTable(project.tableDirectory('primary')), before, time)
    assert.equal(await mirroredOffset(project.offsetPath('primary'), blob), offset, time)
  }

  const inside = await runTailrace(t, [
    ...['replay', '--pipeline', 'primary', '--blob', blob, '--from', String(from + 5)],
    ...config,
  ])
  assert.equal(inside.code, 2)
  assert.match(inside.stderr, new RegExp(`REPLAY_NOT_A_LINE_START.* ${line} and ${before[2]!.offset}\\b`))
  assert.deepEqual(await readTable(project.tableDirectory('primary')), before)
})

test('verify, rejects and status tell of a blob with a bad and a blank line', async (t) => {
  const { storage, config } = await setUp(t)
  const content = Buffer.concat([lines(0, 3), Buffer.from('\nthis is no JSON\n'), lines(3, 2)])
  await storage.append(blob, content)
  await storage.append(blob, '{"begun":')
  assert.equal((await runTailrace(t, ['start', '--once', ...config])).code, 0)

  const verified = await runTailrace(t, ['verify', '--json', ...config])
  assert.equal(verified.code, 0, verified.stdout)
  const verdict = JSON.parse(verified.stdout)
  assert.equal(verdict.complete, true)
  const { rows, blankBytes, unexplainedBytes, offset } = verdict.blobs[0]
  assert.deepEqual([rows, blankBytes, unexplainedBytes, offset], [6, 1, 0, content.length])

  const listed = await runTailrace(t, ['rejects', '--json', ...config])
  const rejected = JSON.parse(listed.stdout)
  assert.equal(rejected.raw, 'this is no JSON')
  assert.equal(rejected.parse_status, 'rejected')
  assert.match(rejected.parse_error, /not_json/)
  assert.equal(Number(rejected.source_offset), content.indexOf('this is'))

  const state = await runTailrace(t, ['status', '--json', ...config])
  const [known] = JSON.parse(state.stdout).blobs
  assert.deepEqual(
    [known.blobBytes, known.offset, known.lagBytes, known.rows, known.rejected],
    [content.length + 9, content.length, 9, 6, 1],
  )
})

test('an offset file that is corrupt, ahead or missing is told of, and the table is followed', async (t) => {
  const { storage, project, config } = await setUp(t)
  const path = project.offsetPath('primary')
  await storage.append(blob, lines(0, 10))
  assert.equal((await runTailrace(t, ['start', '--once', ...config])).code, 0)

  const mishaps: readonly [string, () => Promise<void>][] = [
    ['the offset file is unusable', () => writeFile(path, '{"formatVersion":1,')],
    [
      'claims more than the table holds',
      async () => {
        const text = await readFile(path, 'utf8')
        await writeFile(
          path,
          text.replace(/"offset": (\d+)/, (_, offset) => `"offset": ${Number(offset) + 1}`),
        )
      },
    ],
    ['rebuilt from the table', () => rm(path)],
  ]
  for (const [at, [told, happen]] of mishaps.entries()) {
    await happen()
    await storage.append(blob, lines(10 + at * 10, 10))
    const run = await runTailrace(t, ['start', '--once', ...config])
    assert.equal(run.code, 0, run.stderr)
    assert.ok(run.process.logged(told), `${told}:\n${run.stderr}`)
    const content = await storage.content(blob)
    const end = assertLandedOnce(blob, content, await readTable(project.tableDirectory('primary')))
    assert.equal(await mirroredOffset(path, blob), end)
  }
})

test('pipelines that are renamed and share out their blobs anew land no row twice', async (t) => {
  const storage = await startStorage(t)
  const root = await temporaryDirectory(t)
  const blobs = ['s0.json', 's1.json', 's2.json']
  const projectOf = (pipelines: Record<string, string>) =>
    writeProject(root, {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      pipelines: Object.fromEntries(Object.entries(pipelines).map(([name, one]) => [name, { blobs: one }])),
      table: 'logs',
      root,
    })
  for (const pipelines of [
    { 'pg-0': '{s0,s1}.json', 'pg-1': 's2.json' },
    { 'pg-0': 's0.json', 'pg-1': '{s1,s2}.json' },
    { renamed: '*.json' },
  ]) {
    const { configPath } = await projectOf(pipelines)
    for (const name of blobs) await storage.append(name, lines(0, 20))
    for (const command of [['start', '--once'], ['verify']]) {
      const run = await runTailrace(t, [...command, '--config', configPath])
      assert.equal(run.code, 0, run.stdout + run.stderr)
    }
  }
  const rows = await readTable((await projectOf({})).tableDirectory('logs'))
  for (const name of blobs) assertLandedOnce(name, await storage.content(name), rows)
})

test('a cold start at the latest begins with the next line, and a line lands when its newline is there', async (t) => {
  const { storage, project, config } = await setUp(t, {
    pipelines: { primary: { blobs: blob, coldStart: 'latest' } },
  })
  const old = lines(0, 3)
  const half = Buffer.from(jsonlogLine(3))
  await storage.append(blob, Buffer.concat([old, half.subarray(0, 40)]))
  const running = startTailrace(t, ['start', ...config])
  await running.until(() => running.logged('a blob begins'), 'the blob begins')
  const fresh = jsonlogLine(4)
  const last = jsonlogLine(5)
  await storage.append(blob, Buffer.concat([half.subarray(40), Buffer.from(`\n${fresh}\n${last}`)]))
  const batches = () => running.log.filter(({ rows }) => Number(rows) > 0).length
  await running.until(() => batches() === 1, 'the first batch')
  const raws = async () => (await readTable(project.tableDirectory('primary'))).map(({ raw }) => raw)
  assert.deepEqual(await raws(), [fresh])

  await storage.append(blob, '\n')
  await running.until(() => batches() === 2, 'the second batch')
  assert.deepEqual(await raws(), [fresh, last])
  const end = (await storage.content(blob)).length
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143)
  assert.equal(await mirroredOffset(project.offsetPath('primary'), blob), end)
})

test('no key and no signature appears in what a refused run prints', async (t) => {
  const storage = await startStorage(t)
  const endpoint = /BlobEndpoint=([^;]+)/.exec(storage.connectionString)![1]!
  const key = Buffer.from('a key that nobody may ever read in a log').toString('base64')
  const signature = 'c2lnbmF0dXJlIHRoYXQgbm9ib2R5IG1heSByZWFk'
  const account = `AccountName=devstoreaccount1;AccountKey=${key}`
  const sas = `sv=2024-08-04&ss=b&srt=co&sp=rl&se=2030-01-01T00:00:00Z&sig=${signature}`
  const storages = [
    {
      kind: 'connection-string',
      connectionString: `DefaultEndpointsProtocol=http;${account};BlobEndpoint=${endpoint};`,
    },
    { kind: 'sas', url: `${endpoint}/logs?${sas}` },
    { kind: 'sas', url: `${endpoint}/logs?${sas}`, account: 'unknown-option' } as never,
  ] as const
  for (const [at, refused] of storages.entries()) {
    const project = await writeProject(await temporaryDirectory(t), {
      storage: refused,
      pipelines: { primary: { blobs: blob } },
    })
    const run = await runTailrace(t, ['start', '--once', '--config', project.configPath], {
      env: { LOG_LEVEL: 'trace' },
    })
    assert.equal(run.code, at === 2 ? 2 : 1, run.stderr)
    assert.match(run.stderr, at === 2 ? /CONFIG_INVALID/ : /SOURCE_DENIED/)
    for (const secret of [key, signature, encodeURIComponent(key), encodeURIComponent(signature)]) {
      assert.ok(!(run.stdout + run.stderr).includes(secret), 'a secret was printed')
    }
  }
})

test('a drain that finds no blob exits with 3 and names its pipelines, unless that is allowed; so does a check', async (t) => {
  const { storage, config } = await setUp(t, {
    pipelines: {
      primary: { blobs: blob },
      empty: { blobs: 'empty.json' },
      misspelled: { blobs: 'primray.json' },
      prefix: { blobs: 'none/' },
      pattern: { blobs: '*.gz' },
      container: { blobs: 'a/', container: 'no-such-container' },
    },
  })
  await storage.append(blob, lines(0, 3))
  await storage.append('empty.json', '')
  const named = ['misspelled', 'prefix', 'pattern', 'container']
  for (const command of [['start', '--once'], ['check']]) {
    const run = await runTailrace(t, [...command, ...config])
    assert.equal(run.code, 3, run.stderr)
    const told = run.process.log.find(({ msg }) => msg?.startsWith('no blob was found'))
    assert.deepEqual(told?.pipelines, named)
    assert.equal((await runTailrace(t, [...command, '--allow-empty', ...config])).code, 0)
  }
  // A blob that is landed and empty ones have been found.
  for (const name of ['primary', 'empty']) {
    const again = await runTailrace(t, ['start', '--once', '--pipeline', name, ...config])
    assert.equal(again.code, 0, again.stderr)
  }
})

test('a run ends in order when its time is up, with 4 unless what it followed had answered', async (t) => {
  const { storage, project, config } = await setUp(t)
  await storage.append(blob, lines(0, 3))
  const unreachable = await setUp(t, {
    storage: {
      kind: 'connection-string',
      connectionString: storage.connectionString.replace(
        /BlobEndpoint=[^;]*/,
        'BlobEndpoint=http://127.0.0.1:1/x',
      ),
    },
  })
  const [followed, drained, unanswered, refused] = await Promise.all([
    runTailrace(t, ['start', '--max-duration', '4s', ...config]),
    runTailrace(t, ['start', '--once', '--max-duration', '1500ms', ...unreachable.config]),
    runTailrace(t, ['start', '--max-duration', '1500ms', ...unreachable.config]),
    runTailrace(t, ['start', '--max-duration', '10', ...config]),
  ])
  assert.equal(followed.code, 0, followed.stderr)
  assert.ok(followed.process.logged('--max-duration is over'))
  assertLandedOnce(blob, await storage.content(blob), await readTable(project.tableDirectory('primary')))
  assert.equal(drained.code, 4, drained.stderr)
  assert.equal(unanswered.code, 4, unanswered.stderr)
  assert.ok(unanswered.process.logged('storage answered no request'))
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /--max-duration: found 10, expected a duration/)
})
