import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineConfig, type TailraceConfig } from '../src/config.ts'
import { isTailraceError } from '../src/errors.ts'
import { resolveConfig, tableDirectory } from '../src/resolve-config.ts'
import { postgresLogs } from '../src/tables/postgres-logs.ts'

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

test('the smallest config gets every default, and its paths are absolute', () => {
  const config = resolveConfig(smallest, '/srv')
  assert.deepEqual(config, {
    pipelines: {
      primary: {
        source: {
          ...pipeline.source,
          coldStart: 'earliest',
          pollMs: 5000,
          discoverMs: 30_000,
          rangeBytes: 2 * 1024 * 1024,
          maxLanes: 16,
          maxLineBytes: 16 * 1024 * 1024,
        },
        transforms: [],
        table: pipeline.table,
        sink: { kind: 'delta', root: '/srv/lakehouse' },
        batch: { maxBytes: 64 * 1024 * 1024, maxRows: 1_000_000, maxAgeMs: 10_000 },
      },
    },
    stateDirectory: '/srv/.tailrace',
    disk: config.disk,
    stopMs: 30_000,
  })
  assert.deepEqual([config.disk.minFreeBytes, config.disk.expireMs], [512 * 1024 * 1024, 3_600_000])
  assert.equal(tableDirectory(config.pipelines.primary as never), '/srv/lakehouse/logs/public/primary')
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
    /^pipelines\.replica\.sink\.root: found "abfss:.*expected a directory/,
    /^pipelines\.Bad Name: found a name that cannot be, expected lower-case/,
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

test('two pipelines may not land the same blobs in the same table, and may share either', () => {
  const other = { ...pipeline, table: postgresLogs('logs.public.other') }
  const elsewhere = { ...pipeline, source: { ...pipeline.source, blobs: 'replica.ndjson' } }
  assert.deepEqual(mistakesOf({ pipelines: { a: pipeline, b: other, c: elsewhere } }), [])
  assert.deepEqual(mistakesOf({ pipelines: { a: pipeline, b: pipeline } }), [
    'pipelines.b: found the source and table of pipelines.a, expected another one',
  ])
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
