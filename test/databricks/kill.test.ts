import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { LoggedStatement } from '../../doubles/workspace/workspace-log.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { eventually } from '../support/eventually.ts'
import { killLoop } from '../support/kill-loop.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import type { TailraceProcess } from '../support/tailrace-process.ts'
import { type TestProject, writeProject } from '../support/test-project.ts'
import { warehouseKillTarget } from '../support/warehouse-kill-target.ts'
import { assertVerified } from './assert-verified.ts'
import { assertEachLineOnce, rowsIn } from './landed-lines.ts'
import { assertNothingTold } from './nothing-told.ts'
import { catalog, openWorkspaceBench, schema, type WorkspaceBench } from './workspace-bench.ts'

const blob = 'primary.json'
const lineCount = 60
const relation = `"${catalog}"."${schema}"."primary"`
const script = fileURLToPath(new URL('../support/ingest-process.ts', import.meta.url))
const copies = /^COPY INTO/

/** Lines in a storage, and a project that leads from there into a workspace. */
interface Setup extends WorkspaceBench {
  readonly project: TestProject
  /** `--config` and its path. */
  readonly configArgs: readonly string[]
  /** What all processes have logged. */
  readonly processes: TailraceProcess[]
}

async function setUp(
  t: TestContext,
  sink: Partial<DatabricksSinkConfig> = { mode: 'copy-into' },
  more: { readonly stopMs?: number } = {},
): Promise<Setup> {
  const bench = await openWorkspaceBench(t)
  const { storage, directory } = bench
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: blob } },
    batch: { maxAgeMs: 100 },
    sink: bench.sink(sink),
    schema: `${catalog}.${schema}`,
    ...more,
  })
  const lines = Array.from({ length: lineCount }, (_, index) => jsonlogLine(index))
  await storage.append(blob, linesAsBytes(lines))
  return { ...bench, project, configArgs: ['--config', project.configPath], processes: [] }
}

function begin(t: TestContext, setup: Setup, args: readonly string[]): TailraceProcess {
  const started = startTailrace(t, [...args, ...setup.configArgs], { env: { LOG_LEVEL: 'debug' } })
  setup.processes.push(started)
  return started
}

/** Kills a process, and sees that it did not end by itself before. */
async function kill(process: TailraceProcess): Promise<void> {
  process.kill('SIGKILL')
  assert.deepEqual(await process.exited, { code: null, signal: 'SIGKILL' }, process.stderr.slice(-2_000))
}

/** Lands what is left with a process of its own, and asserts that each line is there once and that no log tells much. */
async function assertRepaired(t: TestContext, setup: Setup): Promise<TailraceProcess> {
  const { storage, warehouse, workspace, project } = setup
  const last = begin(t, setup, ['start', '--once'])
  assert.deepEqual(await last.exited, { code: 0, signal: null }, last.stderr.slice(-4_000))
  const rows = await rowsIn(warehouse, relation)
  await assertEachLineOnce(storage, [blob], { rows, offsetPath: project.offsetPath('primary') })
  assert.equal(rows.length, lineCount)
  await assertVerified(await loadConfig(project.configPath), 1)
  assert.deepEqual(workspace.log.failures, [])
  for (const { stderr, stdout } of setup.processes) assertNothingTold(stderr + stdout, workspace)
  return last
}

function statementsOf({ workspace }: Setup, pattern: RegExp): readonly LoggedStatement[] {
  return workspace.log.statements.filter(({ text }) => pattern.test(text))
}

async function executed(setup: Setup, pattern: RegExp): Promise<void> {
  const isExecuted = async (): Promise<boolean> =>
    statementsOf(setup, pattern).some(({ wasExecuted }) => wasExecuted)
  await eventually(isExecuted, 'execution of the statement')
}

test('a COPY of a killed process that still runs is waited for by the next start, and its rows come once', async (t) => {
  const setup = await setUp(t)
  const hold = setup.warehouse.holdNext(copies)
  const killed = begin(t, setup, ['start'])
  await hold.reached
  await kill(killed)

  const next = startTailrace(t, [setup.project.configPath, 'hasty'], { script })
  setup.processes.push(next)
  await next.until(() => next.stdout.includes('loaded'), 'it was loaded')
  next.send('once')
  await next.until(() => next.stderr.includes('"COMMIT_CONTENDED"'), 'it met the COPY that runs')
  assert.equal((await rowsIn(setup.warehouse, relation)).length, 0)
  hold.release()
  assert.deepEqual(await next.exited, { code: 0, signal: null }, next.stderr.slice(-4_000))
  assert.ok(next.logged('a batch of an earlier run is loaded'))
  await assertRepaired(t, setup)
  assert.equal(statementsOf(setup, copies).filter(({ wasExecuted }) => wasExecuted).length, 2)
})

test('a process killed just after its upload has its file loaded by the next start', async (t) => {
  for (const upload of ['put', 'files-api'] as const) {
    const setup = await setUp(t, { mode: 'copy-into', upload })
    // Its COPY never arrives, however often it is sent.
    const times = Number.POSITIVE_INFINITY
    const lost = setup.workspace.faults.add({ statement: copies, fault: { kind: 'drop-before' }, times })
    const killed = begin(t, setup, ['start'])
    await lost.struck
    await kill(killed)
    // Without the marks of loads that are sent long after their upload.
    const batchFiles = (): number =>
      setup.workspace.log.uploads.filter(({ volumePath }) => !volumePath.endsWith('.sent')).length
    assert.equal(batchFiles(), 1)
    assert.equal((await rowsIn(setup.warehouse, relation)).length, 0)
    lost.release()
    const last = await assertRepaired(t, setup)
    assert.ok(last.logged('a batch of an earlier run is loaded'))
    assert.equal(batchFiles(), 1)
  }
})

for (const [mode, load] of [
  ['transaction', /^BEGIN ATOMIC(?=[\s\S]*read_files)/],
  ['replace-where', /^INSERT INTO/],
  ['copy-into', copies],
  ['merge', /^MERGE/],
] as const) {
  test(`a process killed between its rows and its offsets by ${mode} does not add them again`, async (t) => {
    const setup = await setUp(t, { mode })
    const untold = setup.workspace.faults.add({ statement: load, fault: { kind: 'slow', holds: 'end' } })
    const killed = begin(t, setup, ['start'])
    await untold.struck
    await executed(setup, load)
    await kill(killed)
    assert.equal((await rowsIn(setup.warehouse, relation)).length, lineCount)
    untold.release()
    await assertRepaired(t, setup)
  })
}

test('a replay killed while old rows are removed, or before new ones are loaded, is ended by the next start', async (t) => {
  const setup = await setUp(t)
  const { workspace, warehouse } = setup
  await assertRepaired(t, setup)
  const line = linesAsBytes([jsonlogLine(0)]).length
  const replayArgs = ['replay', '--pipeline', 'primary', '--blob', blob, '--from', String(line)]

  const removing = workspace.faults.add({ statement: /^DELETE/, fault: { kind: 'slow', holds: 'end' } })
  const first = begin(t, setup, replayArgs)
  await removing.struck
  await executed(setup, /^DELETE/)
  await kill(first)
  removing.release()
  assert.equal((await rowsIn(warehouse, relation)).length, 1)
  await assertRepaired(t, setup)

  const times = Number.POSITIVE_INFINITY
  const loading = workspace.faults.add({ statement: copies, fault: { kind: 'drop-before' }, times })
  const second = begin(t, setup, replayArgs)
  await loading.struck
  await kill(second)
  loading.release()
  assert.equal((await rowsIn(warehouse, relation)).length, 1)
  const last = await assertRepaired(t, setup)
  assert.ok(last.logged('an earlier replay is loaded'))
})

test('a second process on the same state is refused while the first one loads, and changes nothing', async (t) => {
  const setup = await setUp(t)
  const hold = setup.warehouse.holdNext(copies)
  const first = begin(t, setup, ['start', '--once'])
  await hold.reached
  const second = begin(t, setup, ['start', '--once'])
  assert.deepEqual(await second.exited, { code: 1, signal: null })
  assert.match(second.stderr, /STATE_LOCKED/)
  hold.release()
  assert.deepEqual(await first.exited, { code: 0, signal: null }, first.stderr.slice(-4_000))
  assert.equal(statementsOf(setup, copies).length, 1)
  await assertRepaired(t, setup)
})

test('a stop during a load lands what is under way, and exits with 143', async (t) => {
  const setup = await setUp(t)
  const hold = setup.warehouse.holdNext(copies)
  const stopped = begin(t, setup, ['start'])
  await hold.reached
  stopped.kill('SIGTERM')
  await stopped.until(() => stopped.logged('stopping: landing what is complete'), 'it stops')
  hold.release()
  assert.deepEqual(await stopped.exited, { code: 143, signal: null }, stopped.stderr.slice(-4_000))
  assert.equal((await rowsIn(setup.warehouse, relation)).length, lineCount)
  await eventually(async () => setup.workspace.openSessions === 0, 'the session is closed')
  await assertRepaired(t, setup)
  assert.equal(statementsOf(setup, copies).length, 1)
})

test('a stop during a load that does not end exits after stopMs, and the next start ends it', async (t) => {
  const setup = await setUp(t, { mode: 'copy-into' }, { stopMs: 300 })
  const hold = setup.warehouse.holdNext(copies)
  const stopped = begin(t, setup, ['start'])
  await hold.reached
  stopped.kill('SIGTERM')
  assert.deepEqual(await stopped.exited, { code: 143, signal: null }, stopped.stderr.slice(-4_000))
  assert.ok(stopped.logged('not done in time'))
  hold.release()
  await executed(setup, copies)
  const last = await assertRepaired(t, setup)
  assert.ok(last.logged('a batch of an earlier run is loaded'))
})

test('a process killed again and again at any instant has every line in the warehouse exactly once', async (t) => {
  const seed = Number(process.env.TAILRACE_SEED ?? 1)
  const modes = [
    { mode: 'transaction', upload: 'files-api' },
    { mode: 'replace-where', upload: 'put' },
    { mode: 'copy-into', upload: 'put' },
    { mode: 'copy-into', upload: 'files-api' },
    { mode: 'merge' },
  ] as const
  const mode = modes[seed % modes.length] ?? modes[0]
  t.diagnostic(`seed ${seed}: repeat with TAILRACE_SEED=${seed}`)
  const target = await warehouseKillTarget(t, mode)
  const report = await killLoop({ kills: 3, seed, target })
  t.diagnostic(JSON.stringify({ ...mode, ...report }))
  // Kills that meet no work would prove nothing.
  assert.ok(report.leftovers > 0, 'no kill interrupted a batch')
})

test('a process of mode zerobus killed again and again at any instant has sent every line, and the view has each once', async (t) => {
  const seed = Number(process.env.TAILRACE_SEED ?? 1)
  t.diagnostic(`seed ${seed}: repeat with TAILRACE_SEED=${seed}`)
  const report = await killLoop({ kills: 3, seed, target: await warehouseKillTarget(t, { mode: 'zerobus' }) })
  t.diagnostic(JSON.stringify(report))
  assert.ok(report.leftovers > 0, 'no kill interrupted a batch')
})
