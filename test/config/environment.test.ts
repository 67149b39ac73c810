import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  environmentVariables,
  logAnalyticsVariables,
  optionVariables,
  readEnvironment,
  unknownVariables,
} from '../../src/config/environment.ts'
import { withEnvironment } from '../../src/config/environment-options.ts'
import { loadConfig } from '../../src/config/load.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The message that reading a variable of a value fails with, or its value. */
function read(value: string | undefined): unknown {
  try {
    return readEnvironment({ TAILRACE_STATE: 'text' }, { TAILRACE_STATE: value }).TAILRACE_STATE
  } catch (error) {
    assert.ok(isTailraceError(error, 'CONFIG_INVALID'))
    return error
  }
}

test('white space and quotes around a value are not part of it, and an empty one counts as not set', () => {
  for (const [given, value] of [
    ['./lake', './lake'],
    ['/x/state\n', '/x/state'],
    [' ./lake\r\n', './lake'],
    ['"./lake"', './lake'],
    ["'./lake'", './lake'],
    ['\'"./lake"\'\n', './lake'],
    ['“./lake”', './lake'],
    ['\ufeff" ./lake "', './lake'],
    ['a "quoted" name', 'a "quoted" name'],
    ['می\u200cشود', 'می\u200cشود'],
    [undefined, undefined],
    ['', undefined],
    [' \n', undefined],
    ['""', undefined],
  ]) {
    assert.equal(read(given), value, JSON.stringify(given))
  }
})

test('a quote at one end, an invisible character and an unreplaced reference are refused by the name of the variable', () => {
  for (const [given, why] of [
    ['"./lake', 'quote at one end'],
    ["./lake'", 'quote at one end'],
    ['"', 'quote at one end'],
    ['a\nb', 'U\\+000A\\) after 1 characters'],
    ['a\u0000', 'U\\+0000'],
    ['a\u001b[1m', 'U\\+001B'],
    ['a\u200bb', 'U\\+200B'],
    ['a\u2028b', 'U\\+2028'],
    ['a\u202eb', 'U\\+202E'],
    ['~/lake', 'found the unexpanded reference ~,'],
    ['/x/\u0024{HOME}/lake', 'found the unexpanded reference \\$\\{HOME\\}'],
    ['$(STATE)', 'found the unexpanded reference \\$\\(STATE\\)'],
  ] as const) {
    const error = read(given)
    assert.ok(error instanceof Error, JSON.stringify(given))
    assert.match(error.message, new RegExp(`^One variable of the environment.*\n  TAILRACE_STATE: .*${why}`))
  }
})

test('words are read in any case, numbers as digits, and the mistakes of all variables are reported at once', () => {
  const kinds = { LEVEL: ['debug', 'warn'], PORT: 'whole number', PATH: 'text' } as const
  assert.deepEqual(readEnvironment(kinds, { LEVEL: 'WARN', PORT: ' 9464\n' }), { LEVEL: 'warn', PORT: 9464 })
  assert.throws(
    () => readEnvironment(kinds, { LEVEL: 'wran', PORT: '0x10', PATH: '"' }),
    /^TailraceError: 3 variables.*\n {2}LEVEL: found "wran", expected one of debug, warn\n {2}PORT: found "0x10", expected a whole number\n {2}PATH: /,
  )
})

test('a variable that nothing reads is reported with the nearest name, and one that a config asked for is not', () => {
  const environment = {
    TAILRACE_PRIMARRY: 'x',
    tailrace_metrics_port: '1',
    TAILRACE_STATE: 'x',
    TAILRACE_SEED: '1',
    TAILRACE_BENCH_USAGE: 'x',
    PATH: 'x',
    TAILRACE_OWN: 'x',
  }
  const found = (): unknown =>
    unknownVariables(environment).map(({ name, nearestName }) => [name, nearestName])
  const misspelled = [
    ['TAILRACE_PRIMARRY', 'TAILRACE_PRIMARY'],
    ['tailrace_metrics_port', 'TAILRACE_METRICS_PORT'],
  ]
  assert.deepEqual(found(), [...misspelled, ['TAILRACE_OWN', 'TAILRACE_SINK']])
  readEnvironment({ TAILRACE_OWN: 'text' }, environment)
  assert.deepEqual(found(), misspelled)
})

test('a variable with _FILE behind its name is read from that file, and its mistakes are named', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'secret')
  await writeFile(path, '"AccountName=a;AccountKey=b"\n')
  await writeFile(join(directory, 'empty'), ' \n')
  const read = (environment: Record<string, string>) =>
    readEnvironment({ TAILRACE_OWN_KEY: 'text' }, environment).TAILRACE_OWN_KEY
  assert.equal(read({ TAILRACE_OWN_KEY_FILE: path }), 'AccountName=a;AccountKey=b')
  for (const [environment, mistake] of [
    [
      { TAILRACE_OWN_KEY: 'x', TAILRACE_OWN_KEY_FILE: path },
      /TAILRACE_OWN_KEY: found TAILRACE_OWN_KEY_FILE too/,
    ],
    [
      { TAILRACE_OWN_KEY_FILE: `${path}.not` },
      /TAILRACE_OWN_KEY: the file .*secret\.not .* cannot be read \(ENOENT\)/,
    ],
    [{ TAILRACE_OWN_KEY_FILE: join(directory, 'empty') }, /found nothing in the file .*empty/],
  ] as const)
    assert.throws(() => read(environment), mistake)
  assert.deepEqual(unknownVariables({ TAILRACE_OWN_KEY_FILE: path }), [])
})

test('the environment sets the options of a process in any config, before the file and the defaults', () => {
  const config = {
    pipelines: {
      one: {
        source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'a', pollMs: 300 },
        table: postgresLogs('a.b.c'),
        sink: { kind: 'delta', root: '.' },
      },
    },
    metrics: { port: 1 },
    stateDirectory: '/file',
  } as const
  const resolved = resolveConfig(
    withEnvironment(config, {
      TAILRACE_STATE: '/environment',
      TAILRACE_METRICS_HOST: '::1',
      TAILRACE_MIN_FREE_BYTES: '7',
      TAILRACE_POLL_MS: '200',
      TAILRACE_BATCH_ROWS: '5',
      TAILRACE_BATCH_BYTES: '65536',
      TAILRACE_BATCH_AGE_MS: '20',
    }),
    '/',
  )
  assert.equal(resolved.stateDirectory, '/environment')
  assert.deepEqual([resolved.metrics?.host, resolved.metrics?.port], ['::1', 1])
  assert.equal(resolved.disk.minFreeBytes, 7)
  const { source, batch } = resolved.pipelines.one!
  assert.equal(source.pollMs, 200)
  assert.deepEqual(batch, { maxBytes: 65_536, maxRows: 5, maxAgeMs: 20, landEveryMs: undefined })
  assert.deepEqual(withEnvironment(config, {}), config)
  for (const wrong of [
    'text',
    { pipelines: 'text' },
    { pipelines: { one: null } },
    { pipelines: { one: { source: 1 } } },
  ])
    assert.throws(
      () => resolveConfig(withEnvironment(wrong as never, { TAILRACE_POLL_MS: '200' }), '/'),
      /CONFIG_INVALID|config has/,
    )
})

/** Loads the config that ships in an environment of these variables alone. */
async function loadShipped(env: Readonly<Record<string, string>>): Promise<ResolvedConfig> {
  const own = process.env
  process.env = { ...env }
  try {
    return await loadConfig(join(root, 'pipeline.config.ts'))
  } finally {
    process.env = own
  }
}

test('more servers are pipelines of the config that ships, each with its blobs and its table', async () => {
  const orders = { TAILRACE_SERVERS: 'orders-eu', TAILRACE_SERVER_ORDERS_EU: 'orders/' }
  const all = { ...orders, AZURE_STORAGE_ACCOUNT: 'logs' }
  const { pipelines } = await loadShipped(all)
  assert.deepEqual(Object.keys(pipelines), ['orders-eu'])
  assert.equal(pipelines['orders-eu']?.source.blobs, 'orders/')
  assert.deepEqual(unknownVariables(all), [])
  await assert.rejects(
    loadShipped({ TAILRACE_SERVERS: 'orders-eu' }),
    /TAILRACE_SERVERS names orders-eu, which needs TAILRACE_SERVER_ORDERS_EU/,
  )
  await assert.rejects(
    loadShipped({ ...orders, TAILRACE_SERVER_ORDERS_EU_TABLE: 'a.b' }),
    /"a\.b" is not a table name/,
  )
})

test('the config that ships needs a warehouse for every mode but stage-only and zerobus', async () => {
  const load = (mode: string, more: Readonly<Record<string, string>> = {}) =>
    loadShipped({
      ...more,
      TAILRACE_SINK: 'databricks',
      TAILRACE_SINK_MODE: mode,
      TAILRACE_VOLUME: '/Volumes/lake/logs/files',
      DATABRICKS_HOST: 'adb-1.azuredatabricks.net',
    })
  const zerobus = {
    TAILRACE_ZEROBUS_HOST: '1.zerobus.westeurope.azuredatabricks.net',
    DATABRICKS_CLIENT_ID: 'id',
    DATABRICKS_CLIENT_SECRET: 'secret',
  }
  await load('stage-only')
  await load('zerobus', zerobus)
  for (const mode of ['transaction', 'replace-where', 'copy-into', 'merge'])
    await assert.rejects(load(mode), /which needs DATABRICKS_HTTP_PATH/)
  await assert.rejects(
    load('zerobus'),
    /needs TAILRACE_ZEROBUS_HOST, DATABRICKS_CLIENT_ID, DATABRICKS_CLIENT_SECRET/,
  )
})

test('docs/configuration.md and pipeline.config.ts have the variables of the one list, and no others', () => {
  const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
  const section = page.split(/^## /m).find((part) => part.startsWith('Environment of the config')) ?? ''
  const documented = section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name))
  assert.deepEqual(documented.toSorted(), [...environmentVariables].toSorted())
  const config = readFileSync(join(root, 'pipeline.config.ts'), 'utf8')
  const read = [...config.matchAll(/^ {2}([A-Z_]+): (?:'|\[)/gm)].map(([, name]) => name)
  const others = ['TAILRACE_CONFIG', ...Object.keys(logAnalyticsVariables), ...Object.keys(optionVariables)]
  assert.deepEqual([...read, ...others].toSorted(), [...environmentVariables].toSorted())
})

test('the shipped config takes every mode of the Databricks sink', () => {
  const schema = readFileSync(join(root, 'config.schema.json'), 'utf8')
  const modes = /"enum":\s*\[([^\]]*"stage-only"[^\]]*)\]/.exec(schema)?.[1]?.match(/[\w-]+/g)
  const config = readFileSync(join(root, 'pipeline.config.ts'), 'utf8')
  const taken = /TAILRACE_SINK_MODE: \[([^\]]+)\]/.exec(config)?.[1]?.match(/[\w-]+/g)
  assert.ok(taken != null && taken.length > 1)
  assert.deepEqual(taken, modes)
})

test('no variable of the tests and benches is reported as unknown', () => {
  const folders = ['test', 'bench', 'scripts', '.ci']
  const names = new Set(
    folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith('environment.test'))
        // Python environments, tools and results are made there, with tens of thousands of files.
        .filter(({ parentPath }) => !/\/\.(?:venv|tools|work)/.test(parentPath))
        .flatMap(({ parentPath, name }) => [
          ...readFileSync(join(parentPath, name), 'utf8').matchAll(/\bTAILRACE_[A-Z_]+[A-Z]\b/g),
        ])
        .map(([name]) => name),
    ),
  )
  assert.ok(names.has('TAILRACE_SEED'))
  assert.deepEqual(unknownVariables(Object.fromEntries([...names].map((name) => [name, '1']))), [])
})

test('the environment is read in one file', () => {
  const readers = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => readFileSync(join(root, 'src', file), 'utf8').includes('process.env'))
  assert.deepEqual(readers, ['config/environment.ts'])
})

test('values as env files and secrets give them work in the config that ships, and mistakes name their variables', async (t) => {
  const directory = await temporaryDirectory(t)
  const history = (env: Record<string, string>) =>
    runTailrace(t, ['history', '--config', join(root, 'pipeline.config.ts')], {
      env,
      cwd: directory,
    })
  const [quoted, wrong] = await Promise.all([
    history({
      TAILRACE_LAKEHOUSE: '"./lake"\n',
      TAILRACE_STATE: "'./state'\n",
      TAILRACE_CONTAINR: 'x',
      LOG_LEVEL: 'WARN\n',
    }),
    history({
      TAILRACE_METRICS_PORT: 'abc',
      TAILRACE_COLD_START: 'foo',
      TAILRACE_SINK: 'delta lake',
      TAILRACE_STATE: 'a\tb',
    }),
  ])
  assert.equal(quoted.code, 0, quoted.stderr)
  assert.deepEqual(
    quoted.process.log.map(({ msg }) => msg),
    ['unknown environment variable TAILRACE_CONTAINR: did you mean TAILRACE_CONTAINER?'],
  )
  assert.deepEqual(
    readdirSync(directory).filter((name) => /["'\n]/.test(name)),
    [],
  )
  assert.equal(wrong.code, 2)
  for (const name of ['TAILRACE_METRICS_PORT', 'TAILRACE_COLD_START', 'TAILRACE_SINK', 'TAILRACE_STATE'])
    assert.match(wrong.stderr, new RegExp(`^  ${name}: `, 'm'))
})
