import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { check } from '../../src/commands/check.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { history } from '../../src/commands/history.ts'
import { optimize } from '../../src/commands/optimize.ts'
import { query } from '../../src/commands/query.ts'
import { rejects } from '../../src/commands/rejects.ts'
import { replayCommand } from '../../src/commands/replay.ts'
import { search } from '../../src/commands/search.ts'
import { start } from '../../src/commands/start.ts'
import { status } from '../../src/commands/status.ts'
import { createTables } from '../../src/commands/tables.ts'
import { verify } from '../../src/commands/verify.ts'
import type { TailraceConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { shippedSinks } from '../../src/sinks/sinks.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { lines, outputOf } from '../commands/command-fixture.ts'
import { containerName, startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { inMemorySink } from './in-memory-sink.ts'

const content = Buffer.concat([lines(0, 20), Buffer.from('no JSON\n')])

async function openBench(t: TestContext): Promise<ResolvedConfig> {
  const storage = await startStorage(t)
  await storage.append('pg', content)
  const sink = await inMemorySink()
  t.after(() => sink.close())
  const root = await temporaryDirectory(t)
  const config = {
    pipelines: {
      memory: {
        source: {
          storage: { kind: 'connection-string', connectionString: storage.connectionString },
          container: containerName,
          blobs: 'pg',
        },
        table: postgresLogs('test.logs.pg'),
        sink: { kind: 'in-memory' },
      },
    },
    stateDirectory: join(root, 'state'),
    disk: { minFreeBytes: 0 },
  }
  return resolveConfig(config as unknown as TailraceConfig, root, [...shippedSinks, sink])
}

test('a kind of sink that is only added to the list works with every command', async (t) => {
  const config = await openBench(t)
  assert.equal(config.pipelines.memory?.batch.maxAgeMs, 1_000)

  const printed = await outputOf(config, (context) => createTables(context, { printsOnly: true }))
  assert.match(printed.text, /^CREATE TABLE "test\.logs\.pg" \(.*\);\n$/s)
  const created = await outputOf(config, (context) => createTables(context, { printsOnly: false }))
  assert.equal(created.text, 'memory: table test.logs.pg is in memory\n')

  const run = await outputOf(config, (context) => start(context, { once: true }))
  assert.equal(run.code, 0)
  const { pipelines } = JSON.parse(run.text) as { pipelines: { memory: { rows: number; rejected: number } } }
  assert.deepEqual([pipelines.memory.rows, pipelines.memory.rejected], [21, 1])

  const checked = await outputOf(config, (context) => check(context))
  assert.match(checked.text, /^memory: the table is there\nmemory: blob logs\/pg has \d+ bytes\n$/)

  const stood = await outputOf(config, (context) => status(context, undefined, true))
  const [blob] = (JSON.parse(stood.text) as { blobs: Record<string, unknown>[] }).blobs
  assert.deepEqual([blob?.offset, blob?.lagBytes, blob?.rows, blob?.rejected], [content.length, 0, 21, 1])

  const rejected = await outputOf(config, (context) => rejects(context, { limit: 5, json: true }))
  assert.match(rejected.text, /"raw":"no JSON"/)

  const range = { pipeline: 'memory', blob: 'pg', from: 0, to: lines(0, 3).length }
  const replayed = await outputOf(config, (context) => replayCommand(context, range))
  const receipt = JSON.parse(replayed.text) as { rows: number; removedRows: number }
  assert.deepEqual([receipt.rows, receipt.removedRows], [3, 3])

  const verified = await outputOf(config, (context) => verify(context, undefined, true))
  assert.equal(verified.code, 0)
  assert.match(verified.text, /"complete":true/)

  const counted = 'SELECT count(*)::INTEGER AS n FROM "test.logs.pg"'
  const queried = await outputOf(config, (context) => query(context, counted, { json: true }))
  assert.equal(queried.text, '{"n":21}\n')

  const searched = await outputOf(config, (context) =>
    search(context, { text: 'CONNECTION auth', limit: 9, around: 1 }),
  )
  assert.equal(searched.text.split('\n').filter((line) => line.includes('connection authorized')).length, 4)
})

test('a command that a kind of sink does not offer says why', async (t) => {
  const config = await openBench(t)
  const unsupported = async (command: (context: CommandContext) => Promise<number>): Promise<string> => {
    const error = await outputOf(config, command).catch((thrown: unknown) => thrown)
    assert.ok(isTailraceError(error, 'USAGE'))
    return error.message
  }
  assert.equal(
    await unsupported((context) => history(context, { limit: 1, json: false })),
    'The table of memory is in memory, which keeps no history.',
  )
  assert.equal(
    await unsupported((context) => optimize(context, undefined, false)),
    'The table of memory is in memory, which has no files.',
  )
})
