import assert from 'node:assert/strict'
import { readdir, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { systemClock } from '../../src/clock.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { optimize } from '../../src/commands/optimize.ts'
import { query } from '../../src/commands/query.ts'
import { vacuum } from '../../src/commands/vacuum.ts'
import { verify } from '../../src/commands/verify.ts'
import { isTailraceError } from '../../src/errors.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import { eventually } from '../support/eventually.ts'
import { landAll, lines, openBench, outputOf } from './command-fixture.ts'

const look = { allowShortRetention: false, deletes: false, json: true }
const weekMs = 7 * 24 * 3_600_000

test('small files are merged and later vacuumed, and every committed byte is still accounted for', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  for (let batch = 0; batch < 3; batch += 1) {
    await bench.storage.append('primary', lines(batch * 10, 10))
    await landAll(config)
  }
  const all = 'select * from "primary" order by source_offset'
  const rows = await outputOf(config, (context) => query(context, all, { json: true }))

  const merged = await outputOf(config, (context) => optimize(context, undefined, true))
  const [report] = JSON.parse(merged.text)
  assert.equal(report.pipeline, 'primary')
  assert.deepEqual(
    report.partitions.map((one: Record<string, number>) => [one.filesBefore, one.filesAfter, one.rows]),
    [[3, 1, 30]],
  )
  assert.match((await outputOf(config, (context) => optimize(context, 'primary', false))).text, /\(0 rows\)/)

  const table = join(bench.directory, 'lakehouse', 'test', 'logs', 'primary')
  const dataFiles = async () =>
    (await readdir(table, { recursive: true })).filter((path) => /^event_date.*parquet$/.test(path))
  const later = (context: CommandContext): CommandContext => ({
    ...context,
    clock: { ...context.clock, now: () => Date.now() + weekMs + 60_000 },
  })
  const told = JSON.parse((await outputOf(config, (context) => vacuum(later(context), look))).text)
  assert.equal(told[0].expired.files, 3)
  assert.equal(told[0].deleted, false)
  assert.equal(told[0].needed.files, 1)
  assert.equal((await dataFiles()).length, 4)
  const printed = await outputOf(config, (context) => vacuum(later(context), { ...look, json: false }))
  assert.match(printed.text, /primary\W+\| event_date=[\d-]+\W+\| expired\W+\|\W+3 \|/)
  assert.match(printed.text, /Nothing was deleted/)

  // They were removed from the table just now, however old they are.
  for (const path of await dataFiles()) await utimes(join(table, path), 1, 1)
  const early = JSON.parse(
    (await outputOf(config, (context) => vacuum(context, { ...look, deletes: true }))).text,
  )
  assert.equal(early[0].expired.files, 0)
  const gone = await outputOf(config, (context) => vacuum(later(context), { ...look, deletes: true }))
  assert.deepEqual(JSON.parse(gone.text)[0].expired.paths, told[0].expired.paths)
  assert.equal((await dataFiles()).length, 1)

  assert.deepEqual(await outputOf(config, (context) => query(context, all, { json: true })), rows)
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)
  await bench.storage.append('primary', lines(30, 1))
  await landAll(config)
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)
  assert.deepEqual(await readdir(join(config.stateDirectory, 'staging', 'primary')), [])
})

test('a run merges what it lands, and goes on landing', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  const { primary } = config.pipelines
  const eager = {
    ...config,
    pipelines: {
      primary: {
        ...primary!,
        batch: { ...primary!.batch, maxAgeMs: 50 },
        sink: {
          ...primary!.sink,
          optimize: { minFiles: 3, targetBytes: 128 * 1024 * 1024, sortByTime: true },
        },
      },
    },
  }
  const time = { aheadMs: 0 }
  const clock = { ...systemClock, now: () => Date.now() + time.aheadMs }
  const run = await Tailrace.open({ config: eager, follow: true, clock, logger: silentLogger })
  t.after(() => run.abort())
  const running = run.run()
  const pipeline = run.pipelines[0]!
  const land = async (batch: number): Promise<void> => {
    await bench.storage.append('primary', lines(batch * 10, 10))
    await eventually(async () => pipeline.counters.rows >= (batch + 1) * 10, 'row')
  }
  for (let batch = 0; batch < 4; batch += 1) await land(batch)
  time.aheadMs = 10 * 60_000
  await land(4)
  const history = join(bench.directory, 'lakehouse', 'test', 'logs', 'primary', '_delta_log')
  const merges = async () => {
    const names = (await readdir(history)).filter((name) => name.endsWith('.json'))
    const commits = await Promise.all(names.map((name) => readFile(join(history, name), 'utf8')))
    return commits.filter((commit) => commit.includes('"OPTIMIZE"')).length
  }
  await eventually(async () => (await merges()) > 0, 'merge')
  await land(5)
  run.stop()
  await running
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)
  const counted = await outputOf(config, (context) =>
    query(context, 'select count(*) as n from "primary"', { json: true }),
  )
  assert.equal(Number(JSON.parse(counted.text).n), 60)
})

test('maintenance creates no table, does a shared one once, and refuses a short retention', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ a: { table: 'test.logs.pg' }, b: { table: 'test.logs.pg' } })
  assert.equal((await outputOf(config, (context) => optimize(context, undefined, true))).text, '[]\n')
  assert.equal((await outputOf(config, (context) => vacuum(context, look))).text, '[]\n')
  assert.ok(!(await readdir(bench.directory)).includes('lakehouse'))

  for (const blob of ['a', 'b']) await bench.storage.append(blob, lines(0, 1))
  await landAll(config)
  const reports = JSON.parse((await outputOf(config, (context) => optimize(context, undefined, true))).text)
  assert.deepEqual(
    reports.map(({ pipeline }: { pipeline: string }) => pipeline),
    ['a'],
  )
  await assert.rejects(
    outputOf(config, (context) => vacuum(context, { ...look, retentionHours: 1 })),
    (error) => isTailraceError(error, 'USAGE') && /--allow-short-retention/.test(error.message),
  )
  for (const command of [
    (context: CommandContext) => optimize(context, 'c', true),
    (context: CommandContext) => vacuum(context, { ...look, pipeline: 'c' }),
  ]) {
    await assert.rejects(outputOf(config, command), (error) => isTailraceError(error, 'USAGE'))
  }
})
