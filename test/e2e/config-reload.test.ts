import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import type { SeenRequest } from '../support/faulty-proxy.ts'
import { assertLandedOnce, mirroredOffset } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import type { TailraceProcess } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestConfig, writeProject } from '../support/test-project.ts'
import { startWatched, type WatchedRun } from '../support/watched-run.ts'

/** Appends lines to blobs without a pause until it is ended. */
class Writers {
  readonly #storage: TestStorage
  readonly #loops: Promise<void>[]
  #isEnding = false
  #count = 0

  constructor(storage: TestStorage, blobs: readonly string[]) {
    this.#storage = storage
    this.#loops = blobs.map((blob) => this.#write(blob))
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await Promise.all(this.#loops)
  }

  async #write(blob: string): Promise<void> {
    while (!this.#isEnding) {
      const from = this.#count
      this.#count += 20
      const lines = Array.from({ length: 20 }, (_, index) => jsonlogLine(from + index))
      // Now and then, half a line is there for a while.
      const bytes = linesAsBytes(lines)
      await this.#storage.append(blob, bytes.subarray(0, bytes.length - 30))
      await delay(10)
      await this.#storage.append(blob, bytes.subarray(bytes.length - 30))
    }
  }
}

const inUse = 'the new config is in use'

/** Reads the log of reloads as they come. */
function reloadsOf(running: TailraceProcess) {
  let seen = 0
  const answers = () =>
    running.log.filter(
      ({ msg }) => msg === inUse || msg === 'the new config is refused: the former one goes on',
    )
  return async (signal?: NodeJS.Signals) => {
    if (signal !== undefined) running.kill(signal)
    await running.until(() => answers().length > seen, 'an answer to the reload')
    const { added, removed, changed, err } = answers()[seen] as Record<string, unknown>
    seen += 1
    return err === undefined ? { added, removed, changed } : { err: err as { code: string; message: string } }
  }
}

async function setUp(t: TestContext) {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const base: TestConfig = {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary.json' }, replica: { blobs: 'replica.json' } },
  }
  const write = (more: Partial<TestConfig>) => writeProject(directory, { ...base, ...more })
  return { storage, base, write, project: await write({}) }
}

test('SIGHUP under load takes over pipelines that were changed, removed and added, and every line lands exactly once', async (t) => {
  const { storage, base, write, project } = await setUp(t)
  const blobs = ['primary.json', 'replica.json', 'third.json']
  const writers = new Writers(storage, blobs)
  t.after(() => writers.end())
  const running = startTailrace(t, ['start', '--config', project.configPath])
  const landed = (name: string, since = 0) =>
    running.log.slice(since).some(({ msg, pipeline }) => msg === 'landed' && pipeline === name)
  const untilLanded = async (...names: string[]) => {
    const since = running.log.length
    await running.until(() => names.every((name) => landed(name, since)), `rows of ${names.join()}`)
  }
  await untilLanded('primary', 'replica')
  const reload = reloadsOf(running)

  assert.deepEqual(await reload('SIGHUP'), { added: [], removed: [], changed: [] })

  // Open batches of a pipeline that is changed: only a drain lands them.
  const { primary, replica } = base.pipelines
  await write({ batch: { maxAgeMs: 3_600_000 } })
  assert.deepEqual(await reload('SIGHUP'), { added: [], removed: [], changed: ['primary', 'replica'] })
  await delay(300)
  await write({ pipelines: { primary: { ...primary!, pollMs: 150 }, replica: replica! } })
  assert.deepEqual(await reload('SIGHUP'), { added: [], removed: [], changed: ['primary', 'replica'] })
  await untilLanded('primary', 'replica')

  await write({ pipelines: { primary: { ...primary!, pollMs: 150 }, third: { blobs: 'third.json' } } })
  assert.deepEqual(await reload('SIGHUP'), { added: ['third'], removed: ['replica'], changed: [] })
  await untilLanded('third', 'primary')

  // What was removed landed up to where its offset file says, and comes back from there.
  await write({
    pipelines: { ...base.pipelines, third: { blobs: 'third.json' } },
    transforms: '[(record) => record]',
  })
  assert.deepEqual(await reload('SIGHUP'), {
    added: ['replica'],
    removed: [],
    changed: ['primary', 'third'],
  })
  // Functions cannot be compared, so pipelines with transforms are opened anew.
  const { changed } = await reload('SIGHUP')
  assert.deepEqual(changed, ['primary', 'replica', 'third'])
  await untilLanded('primary', 'replica', 'third')

  await writers.end()
  const names = blobs.map((blob) => blob.replace('.json', ''))
  for (const [index, blob] of blobs.entries()) {
    const { length } = await storage.content(blob)
    const offsets = project.offsetPath(names[index]!)
    await eventually(async () => (await mirroredOffset(offsets, blob)) === length, `the end of ${blob}`)
  }
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr)
  for (const [index, blob] of blobs.entries()) {
    const content = await storage.content(blob)
    assert.ok(content.length > 10_000)
    assertLandedOnce(blob, content, await readTable(project.tableDirectory(names[index]!)))
  }
})

test('an invalid config is refused with its error, options that need a restart are named, and the level of the log changes at once', async (t) => {
  const { storage, write, project } = await setUp(t)
  await storage.append('primary.json', linesAsBytes([jsonlogLine(0)]))
  const running = startTailrace(t, ['start', '--config', project.configPath])
  await running.until(() => running.logged('landed'), 'rows')
  const reload = reloadsOf(running)
  const refused = async (text: RegExp) => {
    const { err } = await reload('SIGHUP')
    assert.match(err?.message ?? '', text)
    return err?.code
  }

  await write({ batch: { maxRows: 0 } })
  assert.equal(await refused(/pipelines\.primary\.batch\.maxRows: found 0/), 'CONFIG_INVALID')
  await writeFile(project.configPath, 'export default {')
  assert.equal(await refused(/pipeline\.config\.mjs/), 'CONFIG_UNREADABLE')
  // Found only by connecting to the source, before any pipeline is drained.
  await write({ storage: { kind: 'connection-string', connectionString: 'AccountName=logs' } })
  assert.equal(await refused(/connection string/), 'CONFIG_INVALID')
  await storage.append('primary.json', linesAsBytes([jsonlogLine(1)]))
  await running.until(() => running.log.filter(({ msg }) => msg === 'landed').length === 2, 'more rows')

  await write({ metrics: { port: 0 }, stopMs: 20_000, logLevel: 'warn' })
  running.kill('SIGHUP')
  await running.until(() => running.logged('need a restart'), 'the options')
  const warning = running.log.find(({ msg }) => msg?.includes('need a restart'))
  assert.deepEqual(warning?.options, ['metrics.port', 'metrics.host', 'metrics.prices', 'stopMs'])
  await storage.append('primary.json', linesAsBytes([jsonlogLine(2)]))
  await eventually(async () => (await readTable(project.tableDirectory('primary'))).length === 3, 'the row')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143)
  assert.equal(running.log.filter(({ msg }) => msg === 'landed').length, 2, running.stderr)
})

test('with --watch, a change of a module that the config imports is taken over without a signal', async (t) => {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const transform = (kept: number) =>
    writeFile(
      join(directory, 'transform.ts'),
      `export const keep = (record: { pid?: number }) => ({ ...record, pid: ${kept} })\n`,
    )
  await transform(7)
  await writeFile(
    join(directory, 'pipeline.config.ts'),
    `import { defineConfig, postgresLogs } from 'tailrace'
import { keep } from './transform.ts'

export default defineConfig({
  pipelines: {
    primary: {
      source: {
        storage: { kind: 'connection-string', connectionString: ${JSON.stringify(storage.connectionString)} },
        container: 'logs',
        blobs: 'primary.json',
        pollMs: 100,
      },
      transforms: [keep],
      table: postgresLogs('test.logs.primary'),
      sink: { kind: 'delta', root: './lakehouse' },
      batch: { maxAgeMs: 100 },
    },
  },
  disk: { minFreeBytes: 0 },
})
`,
  )
  await storage.append('primary.json', linesAsBytes([jsonlogLine(0)]))
  // The command that a user runs: compiled modules, and the loader's hooks.
  const running = startTailrace(t, ['start', '--watch'], {
    asShipped: true,
    cwd: directory,
  })
  await running.until(() => running.logged('landed'), 'rows')
  await transform(8)
  await running.until(() => running.logged(inUse), 'the new transform')
  assert.match(
    String(running.log.find(({ msg }) => msg === 'loading the config again')?.cause),
    /transform\.ts$/,
  )
  await storage.append('primary.json', linesAsBytes([jsonlogLine(1)]))
  await running.until(() => running.log.filter(({ msg }) => msg === 'landed').length === 2, 'more rows')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr)
  const rows = await readTable(join(directory, 'lakehouse', 'test', 'logs', 'primary'))
  assert.deepEqual(
    rows.map(({ raw }) => (JSON.parse(raw) as { pid: number }).pid),
    [7, 8],
  )
})

/** A run with a table in storage, whose commits stall while rows wait. */
async function stalledCommit(t: TestContext, stopMs: number) {
  const run = await startWatched(t, { tableInStorage: true, stopMs })
  const isCommit = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('_delta_log')
  await run.storage.append('primary.json', linesAsBytes([jsonlogLine(0)]))
  await run.process.until(() => run.process.logged('landed'), 'rows')
  const before = run.proxy.seen.length
  run.proxy.plan((seen) => (isCommit(seen) ? 'stalled' : undefined))
  await run.storage.append('primary.json', linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  await eventually(async () => run.proxy.seen.slice(before).some(isCommit), 'a commit without an answer')
  return run
}

const rowsOf = async ({ samples }: WatchedRun) =>
  (await samples()).get('tailrace_rows_total{pipeline="primary"}')

test('a reload whose drain takes longer than stopMs aborts the pipeline, and the next one lands its bytes, once', async (t) => {
  const run = await stalledCommit(t, 20_000)
  await run.reload({ batch: { maxAgeMs: 150 } })
  // Meanwhile the probes say what goes on.
  const [reason] = await run.untilUnready('PIPELINE_STOPPED')
  assert.equal(reason!.reason, 'the pipeline is stopping')
  assert.equal((await run.probe('livez')).status, 200)
  const health = await run.health()
  assert.equal(health.code, 1)
  assert.match(health.stdout, /^primary: PIPELINE_STOPPED since /)

  await run.process.until(() => run.process.logged('not drained in time'), 'the end of the time')
  run.proxy.plan(() => undefined)
  run.proxy.breakStalled()
  await run.process.until(() => run.process.logged(inUse), 'the new config')
  await eventually(async () => (await rowsOf(run)) === 3, 'the rows')
  await run.untilUnready()
  assert.equal((await run.health()).code, 0)
  run.process.kill('SIGTERM')
  assert.equal((await run.process.exited).code, 143, run.process.stderr)
  const landed = run.process.log.filter(({ msg }) => msg === 'landed').map(({ blobs }) => blobs)
  const { length } = await run.storage.content('primary.json')
  const ranges = (landed as { start: number; end: number }[][]).flat().map(({ start, end }) => [start, end])
  const [first] = ranges
  assert.deepEqual(ranges, [
    [0, first![1]],
    [first![1], length],
  ])
})

test('a SIGTERM during a reload ends the process within stopMs, with nothing landed twice or lost', async (t) => {
  const run = await stalledCommit(t, 2_000)
  await run.reload({ batch: { maxAgeMs: 150 } })
  await run.process.until(() => run.process.logged('loading the config again'), 'the reload')
  await run.untilUnready('PIPELINE_STOPPED')
  const stoppedAtMs = Date.now()
  run.process.kill('SIGTERM')
  assert.equal((await run.process.exited).code, 143, run.process.stderr)
  assert.ok(Date.now() - stoppedAtMs < 2_500, `${Date.now() - stoppedAtMs} ms`)
  assert.ok(!run.process.logged(inUse))
  run.proxy.plan(() => undefined)
  run.proxy.breakStalled()
  const again = await run.runAgain('--once')
  assert.equal(again.code, 0, again.stderr)
  const { pipelines } = JSON.parse(again.stdout) as {
    pipelines: { primary: { rows: number; offsets: { offset: number }[] } }
  }
  assert.equal(pipelines.primary.rows, 2)
  assert.equal(pipelines.primary.offsets[0]!.offset, (await run.storage.content('primary.json')).length)
})

test('with --watch, a secret whose file is replaced is taken over, and one that is invalid is refused', async (t) => {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const secret = join(directory, 'connection-string')
  await writeFile(secret, storage.connectionString)
  await writeFile(
    join(directory, 'pipeline.config.ts'),
    `import { defineConfig, postgresLogs, readEnvironment } from 'tailrace'

const { LOGS_STORAGE: connectionString = '' } = readEnvironment({ LOGS_STORAGE: 'text' })
export default defineConfig({
  pipelines: {
    primary: {
      source: { storage: { kind: 'connection-string', connectionString }, container: 'logs', blobs: 'primary.json', pollMs: 100 },
      table: postgresLogs('test.logs.primary'),
      sink: { kind: 'delta', root: './lakehouse' },
      batch: { maxAgeMs: 100 },
    },
  },
  disk: { minFreeBytes: 0 },
})
`,
  )
  await storage.append('primary.json', linesAsBytes([jsonlogLine(0)]))
  const running = startTailrace(t, ['start', '--watch'], {
    asShipped: true,
    cwd: directory,
    env: { LOGS_STORAGE_FILE: secret },
  })
  await running.until(() => running.logged('landed'), 'rows')
  const reload = reloadsOf(running)
  // As Kubernetes does: a new file takes the place of the old one.
  const replace = async (text: string) => {
    await writeFile(`${secret}.new`, text)
    await rename(`${secret}.new`, secret)
  }
  await replace('AccountName=logs')
  assert.equal((await reload()).err?.code, 'CONFIG_INVALID')
  await replace(`${storage.connectionString};EndpointSuffix=core.windows.net`)
  assert.deepEqual((await reload()).changed, ['primary'])
  assert.ok(running.log.some(({ cause }) => cause === `a change of ${secret}`))
  await storage.append('primary.json', linesAsBytes([jsonlogLine(1)]))
  await running.until(() => running.log.filter(({ msg }) => msg === 'landed').length === 2, 'more rows')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr)
  assert.doesNotMatch(running.stderr, /AccountKey=(?!\*)/)
})
