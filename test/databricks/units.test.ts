import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { choosePipeline } from '../../src/config/choose-pipelines.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { ContainerStorage } from '../../src/run/container-storage.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import { type CommitUnitsReceipt, commitUnits } from '../../src/run/units/commit-units.ts'
import { planUnits } from '../../src/run/units/plan-units.ts'
import { type Manifest, manifestText, parseManifest, type Unit } from '../../src/run/units/unit-files.ts'
import { writeUnit } from '../../src/run/units/write-unit.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { assertVerified } from './assert-verified.ts'
import { rowsIn } from './landed-lines.ts'
import { landAll, openWorkspaceBench, tableSql, volume, type WorkspaceBench } from './workspace-bench.ts'

const process = { clock: systemClock, logger: silentLogger }
const names = ['p/large.json', 'p/small.json', 'p/other.json']

interface Setup extends WorkspaceBench {
  readonly resolved: ResolvedConfig
  append(name: string, count: number): Promise<void>
  plan(): Promise<readonly Unit[]>
  write(unit: Unit): Promise<Manifest>
  commit(...manifests: readonly Manifest[]): Promise<CommitUnitsReceipt>
  assertComplete(): Promise<void>
}

/** How a test's commits land. */
interface Landing {
  readonly mode: UnitMode
  /** How its transactions may read files. */
  readonly transactionReads?: 'copy' | 'files'
}

type UnitMode = 'transaction' | 'replace-where' | 'copy-into'

const unitModes: readonly UnitMode[] = ['transaction', 'replace-where', 'copy-into']

/** The first words of the statement that adds the rows of units. */
const verbs = {
  transaction: 'BEGIN ATOMIC',
  'replace-where': 'INSERT INTO',
  'copy-into': 'COPY INTO',
} as const

async function setUp(t: TestContext, { mode, transactionReads }: Landing): Promise<Setup> {
  const bench = await openWorkspaceBench(t, {}, transactionReads && { transactionReads })
  const { storage, warehouse } = bench
  const sink: Partial<DatabricksSinkConfig> = { mode, upload: 'files-api' }
  const { source } = bench.rawConfig().pipelines.primary!
  const resolved = bench.config(sink, { source: { ...source, blobs: 'p/', discoverMs: 100 } })
  let line = 0
  return {
    ...bench,
    resolved,
    append: async (name, count) => {
      const lines = Array.from({ length: count }, () => jsonlogLine(line++))
      await storage.append(name, linesAsBytes(lines))
    },
    plan: async () => (await planUnits({ config: resolved, ...process }, { targetBytes: 300_000 })).units,
    write: async (unit) => {
      const containers = new ContainerStorage(resolved.stateDirectory, false, process.clock, process.logger)
      try {
        const pipeline = choosePipeline(resolved, unit.pipeline)
        const reader = await containers.reader(pipeline.source)
        const written = await writeUnit({ config: resolved, unit, pipeline, reader, ...process })
        return parseManifest(manifestText(written), 'the manifest')
      } finally {
        await containers.stop()
      }
    },
    commit: async (...manifests) => {
      const named = manifests.map((manifest, index) => ({ ...manifest, origin: `manifest ${index}` }))
      const [receipt] = await commitUnits({ config: resolved, ...process }, named)
      return receipt!
    },
    assertComplete: async () => {
      const rows = await rowsIn(warehouse, tableSql)
      for (const name of names) assertLandedOnce(name, await storage.content(name), rows)
      await assertVerified(resolved, names.length)
    },
  }
}

const landings: readonly Landing[] = [
  { mode: 'transaction', transactionReads: 'files' },
  { mode: 'transaction', transactionReads: 'copy' },
  { mode: 'replace-where' },
  { mode: 'copy-into' },
]

for (const landing of landings) {
  const { mode, transactionReads } = landing
  const beside = mode === 'transaction' ? `, where it reads by ${transactionReads}` : ''
  test(`units that many processes have staged land in one statement by ${mode}, each once${beside}`, async (t) => {
    const setup = await setUp(t, landing)
    const { append, plan, write, commit, workspace, assertComplete } = setup
    await append('p/large.json', 3_000)
    await append('p/small.json', 10)
    await append('p/other.json', 10)
    const units = await plan()
    assert.ok(units.length >= 3, 'the large blob is in several units')
    const sent = workspace.log.statements.length
    const manifests = await Promise.all(units.map((unit) => write(unit)))
    assert.equal(workspace.log.statements.length, sent, 'no process that writes wakes the warehouse')
    const { landed, landedBefore, refused, rows } = await commit(...manifests.reverse())
    assert.deepEqual([landed, landedBefore, refused, rows], [units.length, 0, [], 3_020])
    const added = workspace.log.statements
      .slice(sent)
      .filter(({ text }) => text.startsWith(verbs[mode]) && /read_files|COPY/.test(text))
    assert.equal(added.length, transactionReads === 'copy' ? 2 : 1, 'one statement, however many units')
    await assertComplete()
    assert.deepEqual((await plan()).length, 0)
    const again = await commit(...manifests)
    assert.deepEqual([again.landed, again.landedBefore], [0, units.length])
    // A running pipeline goes on where the units end.
    await append('p/large.json', 20)
    assert.equal((await landAll(setup.resolved)).pipelines.primary?.rows, 20)
    await assertComplete()
  })
}

for (const mode of unitModes) {
  test(`by ${mode} a copy of a unit lands once, a gap is refused by name, and files that are gone are named`, async (t) => {
    const { append, plan, write, commit, volumes, assertComplete } = await setUp(t, { mode })
    await append('p/large.json', 3_000)
    await append('p/small.json', 10)
    await append('p/other.json', 10)
    const units = await plan()
    const manifests: Manifest[] = []
    for (const unit of units) manifests.push(await write(unit))
    const copy = await write(units[0]!)
    const withGap = await commit(copy, manifests[0]!, ...manifests.slice(2))
    assert.equal(withGap.landedBefore, 1)
    assert.match(withGap.refused[0]?.reason ?? '', /the bytes between have not landed/)
    for (const { path } of await volumes.list(volume)) await volumes.remove(path)
    const gone = await commit(manifests[1]!)
    assert.match(gone.refused[0]?.reason ?? '', /is no longer there: write the unit again/)
    for (const unit of await plan()) await commit(await write(unit))
    await assertComplete()
  })

  test(`by ${mode} units are written beside a run, and committed when it ${mode === 'transaction' ? 'lands' : 'has ended'}`, async (t) => {
    const { append, plan, write, commit, resolved, assertComplete } = await setUp(t, { mode })
    for (const name of names) await append(name, 10)
    const units = await plan()
    const run = await Tailrace.open({ config: resolved, follow: true, ...process })
    const manifests: Manifest[] = []
    for (const unit of units) manifests.push(await write(unit))
    if (mode !== 'transaction')
      await assert.rejects(commit(...manifests), (error) => isTailraceError(error, 'STATE_LOCKED'))
    else assert.equal((await commit(...manifests)).landed, units.length)
    run.stop()
    await run.run()
    const { landed, landedBefore } = await commit(...manifests)
    assert.equal(landed + landedBefore, units.length)
    await assertComplete()
  })

  test(`a commit of units by ${mode} succeeds where their files cannot be removed after it`, async (t) => {
    const { append, plan, write, commit, volumes, workspace, assertComplete } = await setUp(t, { mode })
    for (const name of names) await append(name, 10)
    const manifests: Manifest[] = []
    for (const unit of await plan()) manifests.push(await write(unit))
    const refused = { kind: 'status', status: 403, errorCode: 'PERMISSION_DENIED' } as const
    const kept = workspace.faults.add({
      route: /^DELETE .*\/units\//,
      fault: refused,
      times: Number.POSITIVE_INFINITY,
    })
    assert.equal((await commit(...manifests)).landed, manifests.length)
    assert.ok(kept.strikes > 0)
    assert.ok((await volumes.list(volume)).length > 0)
    await assertComplete()
  })
}

for (const mode of ['merge', 'stage-only', 'zerobus'] as const) {
  test(`units are refused in mode ${mode} before anything is read, and the error names the modes that take them`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const { source } = bench.rawConfig().pipelines.primary!
    const upload = mode === 'stage-only' ? { upload: 'files-api' as const } : {}
    const config = bench.config({ mode, ...upload }, { source: { ...source, blobs: 'p/', discoverMs: 100 } })
    const span = { blob: 'logs/p/a.json', generation: 'g', start: 0, end: 1 }
    const table = config.pipelines.primary!.sinkKind.offsetsTable(config.pipelines.primary!)
    const written = { pipeline: 'primary', table, files: [], rows: 0, rejected: 0, partial: 0 }
    const containers = new ContainerStorage(config.stateDirectory, false, process.clock, process.logger)
    const pipeline = choosePipeline(config, 'primary')
    const reader = await containers.reader(pipeline.source)
    const unit = { pipeline: 'primary', spans: [span], marks: [] }
    const isRefused = (error: unknown): boolean =>
      isTailraceError(error, 'USAGE') &&
      /set sink.mode to transaction, replace-where or copy-into/.test(error.message)
    await assert.rejects(writeUnit({ config, unit, pipeline, reader, ...process }), isRefused)
    const manifest = { ...written, spans: [span], origin: 'a manifest' }
    await assert.rejects(commitUnits({ config, ...process }, [manifest]), isRefused)
    await containers.stop()
    assert.deepEqual(bench.workspace.log.statements, [])
  })
}
