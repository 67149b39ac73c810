import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { choosePipeline } from '../../src/config/choose-pipelines.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { ContainerStorage } from '../../src/run/container-storage.ts'
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

async function setUp(t: TestContext, transactionReads?: 'copy' | 'files'): Promise<Setup> {
  const bench = await openWorkspaceBench(t, {}, transactionReads && { transactionReads })
  const { storage, warehouse } = bench
  const sink: Partial<DatabricksSinkConfig> = { mode: 'transaction', upload: 'files-api' }
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

for (const reads of ['files', 'copy'] as const) {
  test(`units that many processes have staged land in one transaction, each once, where it reads by ${reads === 'copy' ? 'COPY INTO' : 'a query'}`, async (t) => {
    const setup = await setUp(t, reads)
    const { append, plan, write, commit, warehouse, assertComplete } = setup
    await append('p/large.json', 3_000)
    await append('p/small.json', 10)
    await append('p/other.json', 10)
    const units = await plan()
    assert.ok(units.length >= 3, 'the large blob is in several units')
    const manifests: Manifest[] = []
    for (const unit of units) manifests.push(await write(unit))
    assert.deepEqual(await rowsIn(warehouse, tableSql), [], 'nothing is visible yet')
    const before = warehouse.statements.get('BEGIN ATOMIC') ?? 0
    const { landed, landedBefore, refused, rows } = await commit(...manifests.reverse())
    assert.deepEqual([landed, landedBefore, refused, rows], [units.length, 0, [], 3_020])
    const attempts = reads === 'copy' ? 2 : 1
    assert.equal(
      warehouse.statements.get('BEGIN ATOMIC'),
      before + attempts,
      'one transaction, however many units',
    )
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

test('a copy of a unit lands once, a gap is refused by name, and files that are gone are named', async (t) => {
  const { append, plan, write, commit, volumes, assertComplete } = await setUp(t)
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

test('a commit of units succeeds where their files cannot be removed after it', async (t) => {
  const { append, plan, write, commit, volumes, workspace, assertComplete } = await setUp(t)
  await append('p/large.json', 10)
  await append('p/small.json', 10)
  await append('p/other.json', 10)
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
