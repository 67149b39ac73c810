import assert from 'node:assert/strict'
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { check } from '../../src/commands/check.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { query } from '../../src/commands/query.ts'
import { rejects } from '../../src/commands/rejects.ts'
import { replayCommand } from '../../src/commands/replay.ts'
import { status } from '../../src/commands/status.ts'
import { verify } from '../../src/commands/verify.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError, TailraceError } from '../../src/errors.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { ContainerStorage } from '../../src/run/container-storage.ts'
import { replay } from '../../src/run/replay.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import type { BlobReader } from '../../src/sources/blob-reader.ts'
import { landAll, lines, openBench, outputOf } from './command-fixture.ts'

/** Leaves a spool in staging that was last written long ago. @returns the staging directory */
async function stageOldFile(config: ResolvedConfig): Promise<string> {
  const staging = join(config.stateDirectory, 'staging', 'primary')
  await mkdir(staging, { recursive: true })
  await writeFile(join(staging, 'in-use.spool'), 'rows')
  const longAgo = new Date(Date.now() - 30 * 24 * 3_600_000)
  await utimes(join(staging, 'in-use.spool'), longAgo, longAgo)
  return staging
}

test('commands that look create no table and leave the staging files of a run alone', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  await bench.storage.append('primary', lines(0, 1))
  const staging = await stageOldFile(config)

  const commands: readonly ((context: CommandContext) => Promise<number>)[] = [
    (context) => status(context, undefined, true),
    (context) => verify(context, undefined, true),
    (context) => rejects(context, { limit: 1, json: true }),
    (context) => query(context, 'select 1', { json: true }),
    (context) => check(context),
  ]
  for (const command of commands) assert.equal((await outputOf(config, command)).code, 0)
  assert.match((await outputOf(config, check)).text, /primary: no table yet/)
  await assert.rejects(
    outputOf(config, (context) => replayCommand(context, { pipeline: 'primary', blob: 'primary', from: 0 })),
    (error) => isTailraceError(error, 'REPLAY_OUT_OF_RANGE') && /no table/.test(error.message),
  )
  assert.deepEqual(await readdir(bench.directory), ['state'])
  assert.deepEqual(await readdir(staging), ['in-use.spool'])

  await landAll(config)
  assert.ok(!(await readdir(staging)).includes('in-use.spool'), 'a run removes what has expired')
  assert.match((await outputOf(config, check)).text, /primary: table .* is at version 1\n/)
})

test('a pipeline that the config does not have is refused by every command, which names those it has', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {}, replica: {} })
  for (const only of ['primry', 'constructor']) {
    const commands: readonly ((context: CommandContext) => Promise<unknown>)[] = [
      (context) => status(context, only, true),
      (context) => verify(context, only, true),
      (context) => rejects(context, { pipeline: only, limit: 1, json: true }),
      (context) => replayCommand(context, { pipeline: only, blob: 'primary', from: 0 }),
      (context) => Tailrace.open({ ...context, only, follow: false }),
    ]
    for (const command of commands) {
      await assert.rejects(
        outputOf(config, async (context) => Number(await command(context))),
        (error) =>
          isTailraceError(error, 'USAGE') &&
          error.message === `There is no pipeline ${only}; the config has primary, replica.`,
      )
    }
  }
})

test('pipelines whose tables share a name are told apart, and the shared name stands for neither', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({
    one: { table: 'prod.logs.pg' },
    two: { table: 'test.logs.pg' },
    three: { table: 'test.logs.PG', root: 'elsewhere' },
    four: { table: 'test.logs.own' },
  })
  const counts = { one: 1, two: 2, three: 3, four: 4 }
  for (const [name, count] of Object.entries(counts)) {
    await bench.storage.append(name, Buffer.concat([lines(0, count), Buffer.from('no JSON\n')]))
  }
  await landAll(config)

  const verified = await outputOf(config, (context) => verify(context, undefined, true))
  assert.equal(verified.code, 0, verified.text)
  const told = JSON.parse((await outputOf(config, (context) => status(context, undefined, true))).text)
  assert.deepEqual(
    told.blobs.map(({ pipeline, rows, rejected }: Record<string, unknown>) => [pipeline, rows, rejected]),
    Object.entries(counts).map(([name, count]) => [name, count + 1, 1]),
  )
  const rejected = await outputOf(config, (context) => rejects(context, { limit: 9, json: true }))
  assert.deepEqual(
    rejected.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ pipeline, source_blob }) => [pipeline, source_blob]),
    Object.keys(counts).map((name) => [name, `logs/${name}`]),
  )

  const counted = async (from: string): Promise<number> => {
    const sql = `SELECT count(*)::INTEGER AS n FROM ${from}`
    return JSON.parse((await outputOf(config, (context) => query(context, sql, { json: true }))).text).n
  }
  assert.equal(await counted('prod.logs.pg'), 2)
  assert.equal(await counted('own'), 5)
  assert.equal(await counted('test.logs.own'), 5)
  assert.equal(await counted('"pipeline three"'), 4)
  for (const shared of ['pg', 'test.logs.pg']) {
    await assert.rejects(counted(shared), (error) => isTailraceError(error, 'QUERY_FAILED'))
  }
})

test('a replay whose lane meets an outage gives up, and leaves the table and the staging files of a run alone', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  await bench.storage.append('primary', lines(0, 5))
  await landAll(config)
  const staging = await stageOldFile(config)
  const storage = new ContainerStorage(config.stateDirectory, false, systemClock, silentLogger)
  t.after(() => storage.stop())
  const real = await storage.reader(config.pipelines.primary!.source)
  let failures = 0
  const reader: BlobReader = {
    container: real.container,
    listPage: (request) => real.listPage(request),
    read: async (blob, request) => {
      // Only the lane's reads carry a signal.
      if (request.signal === undefined) return real.read(blob, request)
      failures += 1
      throw new TailraceError('SOURCE_UNAVAILABLE', 'an outage')
    },
  }
  const clock = { ...systemClock, sleep: async () => {} }
  await assert.rejects(
    replay({ config, pipeline: 'primary', blob: 'primary', from: 0, reader, clock, logger: silentLogger }),
    (error) => isTailraceError(error, 'SOURCE_UNAVAILABLE'),
  )
  assert.equal(failures, 5)
  assert.ok((await readdir(staging)).includes('in-use.spool'))
  assert.equal((await outputOf(config, (context) => verify(context, undefined, true))).code, 0)
})
