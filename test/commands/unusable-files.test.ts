import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { check } from '../../src/commands/check.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { history } from '../../src/commands/history.ts'
import { optimize } from '../../src/commands/optimize.ts'
import { query } from '../../src/commands/query.ts'
import { rejects } from '../../src/commands/rejects.ts'
import { replayCommand } from '../../src/commands/replay.ts'
import { status } from '../../src/commands/status.ts'
import { createTables } from '../../src/commands/tables.ts'
import { vacuum } from '../../src/commands/vacuum.ts'
import { verify } from '../../src/commands/verify.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { makeDirectory, withStateErrors } from '../../src/offsets/state-files.ts'
import { systemError, watchFileCalls } from '../support/faults/file-calls.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { smallDisk, smallDiskMissing } from '../support/small-disk.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { landAll, lines, openBench, outputOf } from './command-fixture.ts'

const skip = skipUnless(smallDiskMissing())
const name = 'primary'
const content = lines(0, 20)

type Command = (context: CommandContext) => Promise<number>

const commands = {
  start: async ({ config }) => {
    await landAll(config)
    return 0
  },
  status: (context) => status(context, undefined, true),
  verify: (context) => verify(context, undefined, true),
  rejects: (context) => rejects(context, { limit: 50, json: true }),
  query: (context) =>
    query(context, `select min(raw), count(*) from "pipeline ${name}"`, { json: true, unsafe: false }),
  check: (context) => check(context),
  history: (context) => history(context, { limit: 50, json: true }),
  optimize: (context) => optimize(context, undefined, true),
  vacuum: (context) => vacuum(context, { allowShortRetention: false, deletes: false, json: true }),
  createTables: (context) => createTables(context, { printsOnly: false }),
  replay: (context) => replayCommand(context, { pipeline: name, blob: name, from: 0, to: content.length }),
} satisfies Readonly<Record<string, Command>>

type CommandName = keyof typeof commands

async function setUp(t: TestContext, directoryOf?: string) {
  const bench = await openBench(t, directoryOf)
  await bench.storage.append(name, content)
  const config = bench.config({ [name]: {} })
  return { ...bench, config, table: join(bench.directory, 'lakehouse', 'test', 'logs', name) }
}

/** @returns the messages that the commands fail with, each with this code */
async function failAll(
  config: ResolvedConfig,
  code: ErrorCode,
  names: readonly CommandName[],
): Promise<string[]> {
  const messages: string[] = []
  for (const command of names) {
    await assert.rejects(outputOf(config, commands[command]), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, `${command}: ${error.stack}`)
      messages.push(error.message)
      return true
    })
  }
  return messages
}

test('a state or a lakehouse directory that is a file is named with its code by every command', async (t) => {
  const { directory, config } = await setUp(t)
  await writeFile(join(directory, 'state'), '')
  for (const message of await failAll(config, 'DIRECTORY_UNUSABLE', [
    'start',
    'status',
    'verify',
    'optimize',
    'check',
  ]))
    assert.match(message, /cannot be used: a part of the path is a file.* \(ENOTDIR\)/)
  await rm(join(directory, 'state'))
  await writeFile(join(directory, 'lakehouse'), '')
  for (const message of await failAll(config, 'TABLE_UNSUPPORTED', [
    'start',
    'status',
    'check',
    'createTables',
    'query',
  ]))
    assert.match(message, /lakehouse.* ENOTDIR: a part of the path is a file/)
})

test('a full volume and a read-only root are named with their codes when a table is created', {
  skip,
}, async (t) => {
  const disk = await smallDisk(t, 4)
  const { config } = await setUp(t, disk.directory)
  await disk.leaveFree(0)
  for (const message of await failAll(config, 'DISK_FULL', ['createTables', 'start']))
    assert.match(message, /No space left/)
  await rm(join(disk.directory, 'lakehouse'), { recursive: true, force: true })
  await rm(join(disk.directory, 'state'), { recursive: true, force: true })
  await disk.makeReadOnly()
  for (const message of await failAll(config, 'DIRECTORY_UNUSABLE', ['start', 'check', 'optimize']))
    assert.match(message, /read-only \(EROFS\)/)
  await failAll(config, 'TABLE_DENIED', ['createTables'])
})

test('making a directory where none can be made ends, with the directory that was refused', async (t) => {
  await assert.rejects(
    withStateErrors('/proc/x/y', () => makeDirectory('/proc/x/y')),
    { code: 'DIRECTORY_UNUSABLE' },
  )
  const directory = await temporaryDirectory(t)
  for (const _ of ['once', 'again']) await makeDirectory(join(directory, 'a', 'b'))
  assert.deepEqual(await readdir(directory, { recursive: true }), ['a', 'a/b'])
})

test('a directory that cannot be looked at for the moment is not reported as a file', async (t) => {
  const directory = await temporaryDirectory(t)
  const stop = await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'stat') throw systemError('EMFILE', call)
      return undefined
    },
  })
  const made = withStateErrors(directory, () => makeDirectory(directory))
  await assert.rejects(made, { code: 'DIRECTORY_UNUSABLE', context: { reason: 'EMFILE' } })
  stop()
})

test('a table or a state directory that is removed under a running process is reported with its code', async (t) => {
  for (const [gone, code] of [
    ['lakehouse', 'TABLE_MISSING'],
    ['state', 'DIRECTORY_UNUSABLE'],
  ] as const) {
    const storage = await startStorage(t)
    await storage.append(name, content)
    const directory = await temporaryDirectory(t)
    const { configPath } = await writeProject(directory, {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      pipelines: { [name]: { blobs: name } },
    })
    const running = startTailrace(t, ['start', '--fail-fast', '--config', configPath])
    await running.until(() => running.logged('landed'), 'first batch')
    await rm(join(directory, gone), { recursive: true })
    await storage.append(name, content)
    assert.deepEqual(await running.exited, { code: 1, signal: null }, running.stderr)
    assert.match(running.stderr, new RegExp(`^tailrace: ${code}: `, 'm'))
    assert.doesNotMatch(running.stderr, /^ +at /m)
  }
})

test('a data file that is missing, cut short or damaged is named by every command that reads rows', async (t) => {
  const { directory, config, table } = await setUp(t)
  await landAll(config)
  const files = await readdir(table, { recursive: true })
  const path = join(table, files.find((file) => file.endsWith('.parquet'))!)
  const saved = join(directory, 'saved')
  await copyFile(path, saved)
  const bytes = await readFile(saved)
  const pages = Buffer.from(bytes)
  pages.fill(0xa5, 4, Math.floor(bytes.length / 2))
  for (const damaged of [undefined, Buffer.from('garbage'), bytes.subarray(0, 1_000), pages]) {
    await rm(path)
    if (damaged !== undefined) await writeFile(path, damaged)
    const reading: CommandName[] = ['verify', 'rejects', 'status', 'query']
    if (damaged !== pages) reading.push('replay')
    for (const message of await failAll(config, 'TABLE_CORRUPT', reading))
      assert.match(message, damaged === undefined ? /The data file .*is missing/ : /data file .*is damaged/)
    if (damaged === undefined) await writeFile(path, '')
  }
})

test('garbage where the log, the offset file and the staging files are is named, or replaced', async (t) => {
  const { config, table } = await setUp(t)
  const { stateDirectory: state } = config
  const offsetPath = join(state, `${name}.offset.json`)
  await mkdir(join(state, 'staging', name), { recursive: true })
  for (const path of [join('staging', name, 'x.spool'), `${name}.offset.json`, `${name}.set-aside.json`])
    await writeFile(join(state, path), 'garbage')
  for (const command of ['status', 'start', 'check', 'verify'] as const)
    assert.equal((await outputOf(config, commands[command])).code, 0, command)
  await rm(offsetPath)
  await mkdir(offsetPath)
  await failAll(config, 'DIRECTORY_UNUSABLE', ['status', 'start'])
  await rm(offsetPath, { recursive: true })
  const first = join(table, '_delta_log', '00000000000000000000.json')
  const saved = await readFile(first)
  await rm(first)
  const reading = ['status', 'check', 'history', 'optimize', 'vacuum'] as const
  for (const message of await failAll(config, 'TABLE_CORRUPT', reading))
    assert.match(message, /00000000000000000000\.json is missing/)
  await writeFile(first, saved)
  await writeFile(join(table, '_delta_log', '00000000000000000001.json'), 'garbage{')
  await failAll(config, 'TABLE_CORRUPT', [
    'start',
    'status',
    'check',
    'history',
    'optimize',
    'vacuum',
    'createTables',
  ])
})
