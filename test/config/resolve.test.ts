import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runsPipeline } from '../../src/config/choose-pipelines.ts'
import { defineConfig, type TailraceConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksOptions } from '../../src/sinks/databricks/options.ts'
import { deltaSink } from '../../src/sinks/delta/sink.ts'
import { tableLocation } from '../../src/sinks/delta/storage/location.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'
import { deltaTarget } from '../support/delta-target.ts'

const pipeline = {
  source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'primary.ndjson' },
  table: postgresLogs('logs.public.primary'),
  sink: { kind: 'delta', root: './lakehouse' },
} as const

const smallest = defineConfig({ pipelines: { primary: pipeline } })

/** The lines of the message, one for each mistake. */
function mistakesOf(config: unknown): string[] {
  try {
    resolveConfig(config as TailraceConfig, '/srv')
  } catch (error) {
    assert.ok(isTailraceError(error, 'CONFIG_INVALID'))
    const [head, ...lines] = error.message.split('\n')
    assert.match(head ?? '', new RegExp(`^The config has ${lines.length} mistakes?:$`))
    return lines.map((line) => line.trim())
  }
  return []
}

const withSource = (source: object): object => ({
  pipelines: { primary: { ...pipeline, source: { ...pipeline.source, ...source } } },
})

const partitioned = (column: string, fromSql: string): TableDeclaration => ({
  ...pipeline.table,
  partitionColumns: [{ column, fromSql }],
})

test('the smallest config gets every default, and its paths are absolute', () => {
  const config = resolveConfig(smallest, '/srv')
  assert.deepEqual(config, {
    pipelines: {
      primary: {
        source: {
          ...pipeline.source,
          coldStart: 'earliest',
          startTimeMs: undefined,
          pollMs: 5000,
          maxPollMs: 30_000,
          discoverMs: 30_000,
          listMs: 3_600_000,
          watchMs: 172_800_000,
          rangeBytes: 2 * 1024 * 1024,
          maxBufferedBytes: 64 * 1024 * 1024,
          maxLanes: 16,
          maxLineBytes: 16 * 1024 * 1024,
        },
        transforms: [],
        table: pipeline.table,
        sink: {
          kind: 'delta',
          root: '/srv/lakehouse',
          evolve: 'own-tables',
          optimize: { minFiles: 100, targetBytes: 128 * 1024 * 1024, sortByTime: false },
          vacuum: false,
          archiveOffsets: { afterDays: 2, minOffsets: 10_000 },
        },
        sinkKind: deltaSink,
        whenFenced: 'wait',
        batch: { maxBytes: 64 * 1024 * 1024, maxRows: 1_000_000, landEveryMs: undefined, maxAgeMs: 10_000 },
      },
    },
    logLevel: 'info',
    stateDirectory: '/srv/.tailrace',
    disk: config.disk,
    stopMs: 30_000,
    page: { port: 8_787, host: '127.0.0.1', hosts: [], memoryMiB: 512 },
    health: { maxSilentMs: 30_000, maxStallMs: 300_000 },
    restart: { minPauseMs: 5_000, maxPauseMs: 300_000 },
  })
  assert.deepEqual([config.disk.minFreeBytes, config.disk.expireMs], [512 * 1024 * 1024, 3_600_000])
  const path = '/srv/lakehouse/logs/public/primary'
  assert.deepEqual(tableLocation(config.pipelines.primary as never), { kind: 'directory', path })
})

test('a root in Azure is kept as one address, whatever way it was written', () => {
  const root = 'abfss://lake@acct.dfs.core.windows.net/tables/'
  const storage = { kind: 'account', account: 'acct' }
  const config = resolveConfig(
    { pipelines: { primary: { ...pipeline, sink: { kind: 'delta', root, storage } } } } as TailraceConfig,
    '/srv',
  )
  const primary = deltaTarget(config, 'primary')
  assert.equal(primary.sink.root, 'https://acct.blob.core.windows.net/lake/tables')
  assert.deepEqual(tableLocation(primary), {
    kind: 'azure',
    accountUrl: 'https://acct.blob.core.windows.net',
    container: 'lake',
    folder: 'tables/logs/public/primary',
  })
})

test('a root with a credential is refused without showing it, and so is embedded storage for tables', () => {
  const sinks = [
    { kind: 'delta', root: 'https://acct.blob.core.windows.net/lake?sv=1&sig=c2VjcmV0' },
    { kind: 'delta', root: './lakehouse', storage: { kind: 'embedded' } },
  ]
  const [credential, embedded] = sinks.map((sink) =>
    mistakesOf({ pipelines: { primary: { ...pipeline, sink } } }).join(),
  )
  assert.match(
    credential ?? '',
    /sink\.root: found .*expected a URL without a query; set a signature \(SAS\)/,
  )
  assert.doesNotMatch(credential ?? '', /c2VjcmV0/)
  assert.match(embedded ?? '', /sink\.storage: .*expected the storage of an account/)
})

test('merging of small files is off or an object, and a mistake inside of the object is named', () => {
  const mistake = (optimize: unknown): string =>
    mistakesOf({
      pipelines: { primary: { ...pipeline, sink: { kind: 'delta', root: '.', optimize } } },
    }).join()
  assert.match(
    mistake(true),
    /optimize: found true, expected false, or \{ minFiles, targetBytes, sortByTime \}/,
  )
  assert.match(mistake({ minFiles: 1 }), /optimize\.minFiles: found 1, expected at least 2/)
  assert.match(mistake({ minfiles: 2 }), /optimize\.minfiles: found an unknown option/)
})

test('an absolute path stays as it is', () => {
  const config = resolveConfig({ ...smallest, stateDirectory: '/var/state' }, '/srv')
  assert.equal(config.stateDirectory, '/var/state')
})

test('a resolved config cannot be changed, at any depth', () => {
  const config = resolveConfig(smallest, '/srv') as unknown as {
    pipelines: { primary: { source: { pollMs: number } } }
  }
  for (const change of [
    () => Object.assign(config, { stopMs: 1 }),
    () => Object.assign(config.pipelines, { other: {} }),
    () => Object.assign(config.pipelines.primary.source, { pollMs: 1 }),
  ]) {
    assert.throws(change, TypeError)
  }
})

test('every mistake is reported at once, with its path, what was found and what was expected', () => {
  const mistakes = mistakesOf({
    pipelines: {
      primary: {
        ...pipeline,
        source: { ...pipeline.source, container: 'No', pollMs: 5, coldStart: 'middle', polMs: 7 },
        batch: { maxRows: 0, maxAgeMs: 1.5 },
        transforms: ['x'],
      },
      replica: { source: pipeline.source, sink: { kind: 'delta', root: 'abfss://lake@account/x' } },
      'Bad Name': pipeline,
      named: { ...pipeline, table: { ...pipeline.table, partitionColumns: ['severity'] } },
      itself: { ...pipeline, table: partitioned('severity', 'severity') },
      timed: { ...pipeline, table: partitioned('event_time', "'x'") },
    },
    stopMs: '30',
    disks: {},
  })
  const expected = [
    /^pipelines\.primary\.source\.container: found "No", expected a container name$/,
    /^pipelines\.primary\.source\.pollMs: found 5, expected at least 100$/,
    /^pipelines\.primary\.source\.coldStart: found "middle", expected .*"earliest".*"latest"/,
    /^pipelines\.primary\.source\.polMs: found an unknown option/,
    /^pipelines\.primary\.batch\.maxRows: found 0, expected at least 1$/,
    /^pipelines\.primary\.batch\.maxAgeMs: found 1\.5, expected int/,
    /^pipelines\.primary\.transforms\.0: found "x", expected a function/,
    /^pipelines\.replica\.table: found nothing, expected a table declaration/,
    /^pipelines\.named\.table: .*expected each of partitionColumns to be \{ column, fromSql \}/,
    /^pipelines\.itself\.table: .*fromSql of the partition column severity to read no partition column/,
    /^pipelines\.timed\.table: .*expected the partition column event_time to be a column of type string/,
    /^pipelines\.replica\.sink\.root: found "abfss:.*expected abfss:\/\/container@account/,
    /^pipelines\.Bad Name: found an invalid name, expected lower-case/,
    /^stopMs: found "30", expected number$/,
    /^disks: found an unknown option/,
  ]
  for (const pattern of expected) {
    assert.ok(
      mistakes.some((mistake) => pattern.test(mistake)),
      `${pattern} is not in\n${mistakes.join('\n')}`,
    )
  }
  assert.equal(mistakes.length, expected.length)
})

test('every number has a range, and its ends belong to it', () => {
  const ranges: [name: string, min: number, max: number][] = [
    ['pollMs', 100, 3_600_000],
    ['discoverMs', 100, 3_600_000],
    ['listMs', 30_000, 24 * 3_600_000],
    ['watchMs', 3_600_000, 30 * 24 * 3_600_000],
    ['rangeBytes', 64 * 1024, 64 * 1024 * 1024],
    ['maxLanes', 1, 1024],
    ['maxLineBytes', 1024, 64 * 1024 * 1024],
  ]
  for (const [name, min, max] of ranges) {
    for (const value of [min, max]) assert.deepEqual(mistakesOf(withSource({ [name]: value })), [])
    for (const value of [min - 1, max + 1, min + 0.5, `${min}`, null, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(mistakesOf(withSource({ [name]: value })).length, 1, `${name} ${value}`)
    }
  }
})

test('the time between landings is a duration, and the option of earlier versions is refused with the text to write', () => {
  const batch = (options: object): string[] =>
    mistakesOf({ pipelines: { primary: { ...pipeline, batch: options } } })
  for (const landEvery of ['10s', '10000ms', '15m', '24h', '1d']) assert.deepEqual(batch({ landEvery }), [])
  const path = 'pipelines.primary.batch'
  for (const landEvery of ['15', '15 m', '0.5h', '-15m', '15M', '', 'm', 900_000, null])
    assert.match(batch({ landEvery })[0] ?? '', /batch\.landEvery: found .*, expected /)
  assert.deepEqual(batch({ landEvery: '9s' }), [
    `${path}.landEvery: found "9s", expected a duration from '10s' to '1d'`,
  ])
  assert.deepEqual(batch({ landEvery: '25h' }), [
    `${path}.landEvery: found "25h", expected a duration from '10s' to '1d'`,
  ])
  const former = (landEveryMs: unknown): string[] => batch({ landEveryMs })
  assert.deepEqual(former(900_000), [
    `${path}.landEveryMs: found 900000 milliseconds, expected landEvery: '15m' in its place`,
  ])
  assert.match(former(90_000)[0] ?? '', /expected landEvery: '90s' in its place$/)
  // Whatever a message advises is taken.
  for (const [ms, advised] of [
    [5_000, '10s'],
    [10 * 86_400_000, '1d'],
  ] as const) {
    assert.match(former(ms)[0] ?? '', new RegExp(`expected landEvery: '${advised}' in its place$`))
    assert.deepEqual(batch({ landEvery: advised }), [])
  }
  assert.deepEqual(batch({ landEvery: 900_000 }), [
    `${path}.landEvery: found 900000, expected a duration, such as '15m' or '1h'`,
  ])
  assert.match(
    former('often')[0] ?? '',
    /found "often" milliseconds, expected landEvery: '15m' in its place$/,
  )
})

test('the bound of the pause and the memory for ranges hold at least one of each', () => {
  for (const source of [
    { pollMs: 20_000, maxPollMs: 20_000 },
    { pollMs: 100, maxPollMs: 3_600_000 },
    { rangeBytes: 64 * 1024, maxBufferedBytes: 64 * 1024 },
    { maxBufferedBytes: 16 * 1024 ** 3 },
  ]) {
    assert.deepEqual(mistakesOf(withSource(source)), [])
  }
  const slow = resolveConfig(withSource({ pollMs: 60_000 }) as TailraceConfig, '/srv')
  assert.equal(slow.pipelines.primary?.source.maxPollMs, 60_000)
  const path = 'pipelines.primary.source'
  assert.deepEqual(mistakesOf(withSource({ pollMs: 5_001, maxPollMs: 5_000, maxBufferedBytes: 1024 ** 2 })), [
    `${path}.maxPollMs: found 5000, expected at least pollMs (5001)`,
    `${path}.maxBufferedBytes: found 1048576, expected at least rangeBytes (2097152)`,
  ])
  for (const source of [
    { maxPollMs: 99 },
    { maxPollMs: 3_600_001 },
    { maxBufferedBytes: 64 * 1024 - 1 },
    { maxBufferedBytes: 16 * 1024 ** 3 + 1 },
  ]) {
    assert.equal(mistakesOf(withSource(source)).length, 1, JSON.stringify(source))
  }
})

test('blobs are a name, a prefix, a pattern or the resource id of a server, which may be written as a text', () => {
  const id = '/subscriptions/0a/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-one'
  const blobsOf = (blobs: unknown): unknown =>
    resolveConfig(withSource({ blobs }) as TailraceConfig, '/srv').pipelines.primary?.source.blobs
  for (const blobs of [
    'a',
    'a/',
    'a/**/*.json',
    'a{b,c}?',
    'a\\{',
    '/a',
    'x'.repeat(1024),
    { azureMonitor: id },
  ]) {
    assert.deepEqual(blobsOf(blobs), blobs)
  }
  for (const one of [
    id,
    id.toUpperCase(),
    id.toLowerCase(),
    id.replace('flexibleServers', 'servers'),
    id.replace('flexibleServers', 'serverGroupsv2'),
  ]) {
    assert.deepEqual(blobsOf(one), { azureMonitor: one })
    assert.deepEqual(blobsOf({ azureMonitor: `${one}/` }), { azureMonitor: one })
    assert.deepEqual(blobsOf({ azureMonitor: [`${one}/`, '*'] }), { azureMonitor: [one, '*'] })
  }
  for (const one of ['/subscriptions/0a', '/subscriptions/0a/resourceGroups/rg'])
    assert.deepEqual(blobsOf(`${one}/`), { azureMonitor: one })
  const path = 'pipelines.primary.source.blobs'
  const server =
    'expected /subscriptions/…/resourceGroups/…/providers/Microsoft.DBforPostgreSQL/flexibleServers/NAME, or its part up to a subscription or a resource group'
  const form = 'expected a text, or { azureMonitor: a resource id, or several }'
  const refused: [blobs: unknown, message: string][] = [
    ['', 'found "", expected 1 to 1024 characters'],
    ['a{b', 'found "a{b", expected a } for every {, or a backslash before it'],
    ['a*\\', 'found "a*\\\\", expected a character behind the last backslash'],
    ['/subscriptions/0a/x', `found "/subscriptions/0a/x", ${server}`],
    [{ azureMonitor: 'pg-one' }, `found {"azureMonitor":"pg-one"}, ${server}`],
    [{ azureMonitor: 5 }, `found {"azureMonitor":5}, ${form}`],
    [undefined, `found nothing, ${form}`],
    [['a'], `found ["a"], ${form}`],
  ]
  for (const [blobs, message] of refused)
    assert.deepEqual(mistakesOf(withSource({ blobs })), [`${path}: ${message}`])
  assert.deepEqual(mistakesOf(withSource({ blobs: { azureMonitor: id, prefix: 'b' } })), [
    `${path}.prefix: found an unknown option, expected none of this name`,
  ])
  assert.equal(mistakesOf(withSource({ blobs: 'x'.repeat(1025) })).length, 1)
  for (const other of [
    `${id}/databases/postgres`,
    id.replace('flexibleServers', 'virtualMachines'),
    `${id}/*`,
    { azureMonitor: [id, 'pg-one'] },
  ]) {
    assert.equal(mistakesOf(withSource({ blobs: other })).length, 1, JSON.stringify(other))
  }
})

test('a start time is a Date or an ISO text that says its offset', () => {
  const startOf = (startTime: unknown): unknown =>
    resolveConfig(withSource({ startTime }) as TailraceConfig, '/srv').pipelines.primary?.source.startTimeMs
  const instant = Date.UTC(2026, 10, 24, 8)
  for (const one of [
    '2026-11-24T08:00:00Z',
    '2026-11-24T09:00:00+01:00',
    '2026-11-24T08:00:00.000Z',
    new Date(instant),
  ]) {
    assert.equal(startOf(one), instant)
  }
  assert.equal(startOf(undefined), undefined)
  for (const one of [
    '2026-11-24T08:00:00',
    '2026-11-24',
    '2026-11-31T08:00:00Z',
    'now',
    new Date('x'),
    5,
    null,
    '',
  ]) {
    assert.match(
      mistakesOf(withSource({ startTime: one })).join(),
      /^pipelines\.primary\.source\.startTime: found .*, expected a time with its offset, such as [^ ]+, or a Date$/,
    )
  }
})

test('container names follow the rules of the service', () => {
  for (const container of ['abc', 'insights-logs-postgresqllogs', '$logs', 'a1-b2', 'x'.repeat(63)]) {
    assert.deepEqual(mistakesOf(withSource({ container })), [], container)
  }
  for (const container of ['ab', 'Abc', '-abc', 'abc-', 'a--b', 'a_b', 'x'.repeat(64), '']) {
    assert.equal(mistakesOf(withSource({ container })).length, 1, container)
  }
})

test('no secret of a config stands in a message about it', () => {
  const key = 'c2VjcmV0c2VjcmV0c2VjcmV0'
  const storages = [
    { kind: 'connection-string', connectionString: `AccountName=a;AccountKey=${key}==`, extra: 1 },
    { kind: 'connection', connectionString: `AccountName=a;AccountKey=${key}==` },
    { kind: 'sas', url: `a.blob.core.windows.net/logs?sig=${key}` },
    {
      kind: 'account',
      account: `https://x:${key}@host?sig=${key} `.toUpperCase().replace(key.toUpperCase(), key),
    },
    `AccountKey=${key}`,
  ]
  for (const storage of storages) {
    const mistakes = mistakesOf(withSource({ storage }))
    assert.ok(mistakes.length > 0, JSON.stringify(storage))
    assert.ok(
      mistakes.every((mistake) => !mistake.includes(key)),
      mistakes.join('\n'),
    )
  }
})

test('a secret in the option of something else is not shown', () => {
  const key = Buffer.alloc(64, 0xfb).toString('base64')
  const signature = Buffer.alloc(32, 0xfb).toString('base64')
  const shared = { kind: 'shared-key', account: 'logs', key }
  const sources = [
    { storage: { kind: 'account', account: key } },
    { storage: { ...shared, account: key } },
    { storage: { ...shared, account: `https:// ${key}` } },
    { storage: { kind: 'sas', url: signature } },
    { storage: { kind: 'sas', url: 'short' } },
    { storage: key },
    { container: key },
    { container: `?sig=${signature}` },
    { coldStart: signature },
    { blobs: { azureMonitor: key } },
  ]
  for (const source of sources) {
    const text = mistakesOf(withSource(source)).join('\n')
    assert.match(text, /found .*(?:\*\*\*|a secret)/, JSON.stringify(source))
    for (const secret of [key.slice(-30, -5), signature.slice(-30, -5), 'short'])
      assert.ok(!text.includes(secret), text)
  }
})

test('two pipelines may not land the same blobs in the same table, and may share either', () => {
  const other = { ...pipeline, table: postgresLogs('logs.public.other') }
  const elsewhere = { ...pipeline, source: { ...pipeline.source, blobs: 'replica.ndjson' } }
  assert.deepEqual(mistakesOf({ pipelines: { a: pipeline, b: other, c: elsewhere } }), [])
  assert.deepEqual(mistakesOf({ pipelines: { a: pipeline, b: pipeline } }), [
    'pipelines.b: found blobs and the table of pipelines.a, expected other ones',
  ])
  const id = '/subscriptions/0a/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg'
  const server = { ...pipeline, source: { ...pipeline.source, blobs: id } }
  const same = { ...pipeline, source: { ...pipeline.source, blobs: { azureMonitor: id.toUpperCase() } } }
  assert.equal(mistakesOf({ pipelines: { a: server, b: same } }).length, 1)
})

test('two accounts may share a table only where no blob of one can have the name of one of the other', () => {
  const of = (blobs: unknown, account: string) => ({
    ...pipeline,
    source: { ...pipeline.source, blobs, storage: { kind: 'account', account } },
  })
  for (const [blobs, mistakes] of [
    ['logs/', 1],
    ['resourceId=/', 0],
  ] as const) {
    const pipelines = { a: of(blobs, 'east'), b: of(blobs, 'west') }
    assert.equal(mistakesOf({ pipelines }).length, mistakes, blobs)
  }
})

test('a server of Azure Monitor lands once in a table, in whatever list, group or order two pipelines name it', () => {
  const group = '/subscriptions/0A/resourceGroups/rg'
  const [one, two] = ['pg', 'pg-2'].map(
    (name) => `${group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/${name}`,
  ) as [string, string]
  const of = (azureMonitor: string | string[], account: string) => ({
    ...pipeline,
    source: { ...pipeline.source, blobs: { azureMonitor }, storage: { kind: 'account', account } },
  })
  for (const [former, later, mistakes, mistakesOfTwoAccounts] of [
    [one, two, 0, 0],
    [one, one.toLowerCase(), 1, 1],
    [[one, two], [two, one], 1, 1],
    [[one, two], two, 1, 1],
    [group, two, 1, 0],
    [one, '/subscriptions/0a', 1, 0],
    ['*', one, 1, 0],
    ['*', '*', 1, 0],
    [group, group, 1, 0],
    ['/subscriptions/0a', '/subscriptions/0a0', 0, 0],
  ] as const) {
    const pairs = [
      [former, later],
      [later, former],
    ] as [string | string[], string | string[]][]
    for (const [first, second] of pairs) {
      const message = JSON.stringify([first, second])
      const same = { a: of(first, 'east'), b: of(second, 'east') }
      assert.equal(mistakesOf({ pipelines: same }).length, mistakes, message)
      const other = { a: of(first, 'east'), b: of(second, 'west') }
      assert.equal(mistakesOf({ pipelines: other }).length, mistakesOfTwoAccounts, message)
    }
  }
})

const withSink = (sink: object, rest: object = {}): object => ({
  pipelines: {
    primary: {
      ...pipeline,
      sink: {
        kind: 'databricks',
        host: 'adb-1.2.azuredatabricks.net',
        httpPath: '/sql/1.0/warehouses/abc',
        auth: { kind: 'entra' },
        volume: '/Volumes/lake/logs/staging/',
        ...sink,
      },
      ...rest,
    },
  },
})

test('a sink in Databricks gets its defaults: fewer and larger loads than files, and a day of staged files', () => {
  const { primary } = resolveConfig(withSink({}) as TailraceConfig, '/srv').pipelines
  assert.deepEqual(primary?.sink, {
    kind: 'databricks',
    host: 'adb-1.2.azuredatabricks.net',
    httpPath: '/sql/1.0/warehouses/abc',
    auth: { kind: 'entra' },
    volume: '/Volumes/lake/logs/staging',
    mode: 'auto',
    upload: 'files-api',
    createTable: true,
    layout: { clusterBy: 'auto' },
    properties: {},
    evolve: 'own-tables',
    statementTimeoutMs: 600_000,
    stagedRetentionMs: 86_400_000,
    prices: { perServerlessDbu: 0.7, perProDbu: 0.55, perClassicDbu: 0.22, perJobsDbu: 0.45 },
  })
  assert.deepEqual(primary.batch, {
    maxBytes: 256 * 1024 * 1024,
    maxRows: 1_000_000,
    landEveryMs: 900_000,
    maxAgeMs: 900_000,
  })
  const sooner = resolveConfig(withSink({}, { batch: { maxAgeMs: 30_000 } }) as TailraceConfig, '/srv')
  const { landEveryMs, maxAgeMs } = sooner.pipelines.primary!.batch
  assert.deepEqual([landEveryMs, maxAgeMs], [undefined, 30_000])
  assert.throws(
    () =>
      resolveConfig(withSink({}, { batch: { maxAgeMs: 30_000, landEvery: '1h' } }) as TailraceConfig, '/srv'),
    /batch\.maxAgeMs: found landEvery beside it, expected one of the two/,
  )
  const recorded = runsPipeline(
    resolveConfig({ ...withSink({}), runs: { table: 'lake.logs.runs' } } as TailraceConfig, '/srv'),
  )
  assert.equal(recorded?.batch.landEveryMs, 900_000, 'the record of runs wakes no warehouse of its own')
  const merged = resolveConfig(withSink({ mode: 'merge', volume: undefined }) as TailraceConfig, '/srv')
  assert.equal(merged.pipelines.primary?.batch.maxBytes, 4 * 1024 * 1024)
  const staged = { mode: 'stage-only', upload: 'files-api', httpPath: undefined, customCaFile: 'ca.pem' }
  const { sink } = resolveConfig(withSink(staged) as TailraceConfig, '/srv').pipelines.primary ?? {}
  assert.ok(sink?.kind === 'databricks')
  const { stagedRetentionMs, customCaFile } = sink as DatabricksOptions
  assert.equal(stagedRetentionMs, undefined)
  assert.equal(customCaFile, '/srv/ca.pem')
})

test('any name that Unity Catalog can have is a table of a workspace, and none of the Hive metastore', () => {
  for (const name of ['données.journaux du soir.日志', 'a-b.c d.0'])
    assert.deepEqual(mistakesOf(withSink({}, { table: postgresLogs(name) })), [])
  const hive = withSink({}, { table: postgresLogs('Hive_Metastore.logs.pg') })
  assert.match(
    mistakesOf(hive).join(),
    /primary\.table: found the catalog hive_metastore, expected one of Unity Catalog/,
  )
  for (const name of ['a.b', 'a.b.c/d', 'a.b. c', 'a.b.c.d', 'a..c'])
    assert.throws(() => postgresLogs(name), /is not a table name/)
  const delta = { pipelines: { primary: { ...pipeline, table: postgresLogs('a.b.日志') } } }
  assert.match(mistakesOf(delta).join(), /primary\.table: found the part "日志", expected letters/)
})

test('an option that a mode of the Databricks sink requires or forbids is named when it is missing or set', () => {
  const mistakes: readonly [config: object, mistake: RegExp][] = [
    [withSink({ host: 'adb-1.2.azuredatabricks.net/sql' }), /sink\.host: .*without a path/],
    [withSink({ httpPath: undefined }), /sink\.httpPath: .*HTTP path of a SQL warehouse/],
    [withSink({ volume: undefined }), /sink\.volume: .*mode auto stages files/],
    [withSink({ volume: '/Volumes/a/b' }), /sink\.volume: .*\/Volumes\/catalog\/schema\/volume/],
    [withSink({ volume: "/Volumes/a/b/c'd" }), /sink\.volume/],
    [withSink({ volume: '/Volumes/a/b/c/../d' }), /sink\.volume/],
    [withSink({ mode: 'insert' }), /sink\.mode: found "insert"/],
    [
      withSink({
        mode: 'stage-only',
        upload: 'files-api',
        httpPath: undefined,
        stagedRetentionMs: 86_400_000,
      }),
      /sink\.stagedRetentionMs: .*cannot know which files are loaded/,
    ],
    [
      withSink({ mode: 'merge' }, { batch: { maxBytes: 17 * 1024 * 1024 } }),
      /batch\.maxBytes: .*with mode merge/,
    ],
    [withSink({ root: './lake' }), /sink\.root: found an unknown option/],
  ]
  for (const [config, mistake] of mistakes) {
    const found = mistakesOf(config)
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0] ?? '', mistake)
  }
})

test('no token or secret of a sink stands in a message about it', () => {
  for (const auth of [
    { kind: 'token', token: 'topsecret', extra: 1 },
    { kind: 'oauth', clientId: '', clientSecret: 'topsecret' },
    { kind: 'nothing', token: 'topsecret' },
    'topsecret',
  ]) {
    const text = mistakesOf(withSink({ auth })).join()
    assert.notEqual(text, '')
    assert.doesNotMatch(text, /topsecret/)
  }
  for (const place of [{ host: 'user:topsecret@h' }, { proxy: 'user:topsecret@p:3128' }]) {
    const text = mistakesOf(withSink(place)).join()
    assert.match(text, /found "\*\*\*@/)
    assert.doesNotMatch(text, /topsecret/)
  }
  assert.match(mistakesOf(withSink({ host: '' })).join(), /sink\.host: found ""/)
})

test('the disk may not be declared free again below its minimum', () => {
  const disk = { minFreeBytes: 1000, resumeFreeBytes: 999 }
  assert.deepEqual(mistakesOf({ ...smallest, disk }), [
    'disk.resumeFreeBytes: found 999, expected at least disk.minFreeBytes (1000)',
  ])
})

test('a config without a pipeline, and something that is no config, say so', () => {
  assert.deepEqual(mistakesOf({ pipelines: {} }), ['pipelines: found {}, expected at least one pipeline'])
  for (const config of [undefined, null, 5, 'x', []]) assert.equal(mistakesOf(config).length, 1)
})

test('one mistake hides no other: of a name, of options that depend on each other, of pipelines that clash', () => {
  const source = { ...pipeline.source, container: 'No', pollMs: 5_001, maxPollMs: 5_000 }
  const { sink } = (
    withSink({ volume: undefined, host: 'a/b' }) as { pipelines: { primary: { sink: object } } }
  ).pipelines.primary
  const mistakes = mistakesOf({
    pipelines: { 'Bad Name': { ...pipeline, source, sink }, a: pipeline, b: pipeline },
    disk: { minFreeBytes: 2, resumeFreeBytes: 1, checkMs: 1 },
  })
  const expected = [
    /^pipelines\.Bad Name: found an invalid name/,
    /^pipelines\.Bad Name\.source\.container: found "No"/,
    /^pipelines\.Bad Name\.source\.maxPollMs: found 5000, expected at least pollMs \(5001\)$/,
    /^pipelines\.Bad Name\.sink\.host: found "a\/b"/,
    /^pipelines\.Bad Name\.sink\.volume: found nothing, expected a volume/,
    /^disk\.checkMs: found 1/,
    /^disk\.resumeFreeBytes: found 1, expected at least disk\.minFreeBytes \(2\)$/,
    /^pipelines\.b: found blobs and the table of pipelines\.a/,
  ]
  for (const pattern of expected)
    assert.ok(
      mistakes.some((mistake) => pattern.test(mistake)),
      `${pattern} is not in\n${mistakes.join('\n')}`,
    )
  assert.equal(mistakes.length, expected.length, mistakes.join('\n'))
})
