import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Where each foreign package may be imported; one file wherever that is natural. */
const foreignPackages: Readonly<Record<string, readonly string[]>> = {
  '@azure/identity': ['azure/entra-credential.ts'],
  '@azure/storage-blob': [
    'azure/container-requests.ts',
    'azure/range-body.ts',
    'azure/sdk-error.ts',
    'azure/take-listing.ts',
    'sinks/delta/azure-delta-storage.ts',
    'sources/azure-blob-reader.ts',
    'sources/azure-request.ts',
    'sources/azure-sdk.ts',
    'sources/connecting-agent.ts',
    'sources/container-connection.ts',
    'sources/embedded-storage.ts',
    'sources/storage-client.ts',
  ],
  '@databricks/sql': ['sinks/databricks/driver-session.ts'],
  '@duckdb/node-api': ['sinks/duckdb.ts', 'sinks/held-file.ts', 'sinks/row-stream.ts'],
  azurite: ['sources/embedded-storage.ts'],
  'check-disk-space': ['streams/disk-space-monitor.ts'],
  'https-proxy-agent': ['sinks/databricks/workspace-agent.ts'],
  picomatch: ['sources/discovery/blob-selection.ts'],
  pino: ['logger.ts'],
  'pino-pretty': ['logger.ts'],
  'prom-client': ['metrics.ts'],
  saxes: ['azure/list-xml.ts'],
  split2: ['streams/line-splitter.ts'],
  'stream-json': ['streams/top-level-value.ts'],
  zod: [
    'config-mistakes.ts',
    'config-schema.ts',
    'lanes/set-aside-file.ts',
    'offsets/file-offset-store.ts',
    'pipeline-failure.ts',
    'resolve-config.ts',
    'resolve-databricks.ts',
    'sources/sample-memory.ts',
  ],
}

/** Files that only say what an implementation has to do. */
const ports = [
  'sources/blob-reader.ts',
  'sources/discovery/blob-discovery.ts',
  'lanes/lane-schedule.ts',
  'sinks/table-committer.ts',
  'sinks/delta/delta-storage.ts',
  'sinks/databricks/warehouse.ts',
  'sinks/databricks/volume-staging.ts',
  'sinks/databricks/row-loader.ts',
]

/** What a port may use: the types that flow, errors, and declarations. */
const portsMayImport = [
  'records.ts',
  'row-batch.ts',
  'landed-offsets.ts',
  'load-intent.ts',
  'retry.ts',
  'sources/blob-reader.ts',
  'errors.ts',
  'tables/table.ts',
  'sinks/duckdb.ts',
  'sinks/table-committer.ts',
]

interface Import {
  readonly file: string
  /** A path below `src`, or a package's name. */
  readonly target: string
  readonly isType: boolean
}

const root = fileURLToPath(new URL('../src', import.meta.url))
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const imports = files.flatMap(importsOf)
const own = imports.filter(({ target }) => target.endsWith('.ts'))
const foreign = imports.filter(({ target }) => !/^(?:node:|\.)|\.ts$/.test(target))

test('streams import neither sources nor sinks, and sources import no sinks', () => {
  assert.deepEqual(crossing('streams/', ['sources/', 'sinks/']), [])
  assert.deepEqual(crossing('sources/', ['sinks/']), [])
})

test('what speaks to Azure for all of them knows none of the stages', () => {
  assert.deepEqual(crossing('azure/', ['sources/', 'sinks/', 'streams/', 'offsets/', 'tables/']), [])
  // `sinks/` shares `azure/` with `sources/`, and has no need of them.
  assert.deepEqual(crossing('sinks/', ['sources/']), [])
})

test('tables, transforms and offsets know nothing of the stages around them', () => {
  assert.deepEqual(crossing('tables/', ['sources/', 'sinks/', 'streams/', 'offsets/']), [])
  assert.deepEqual(crossing('transforms/', ['sources/', 'sinks/', 'offsets/', 'tables/']), [])
  assert.deepEqual(crossing('offsets/', ['sources/', 'sinks/', 'streams/', 'tables/']), [])
})

test('no stage imports the pipeline, the commands or the command line', () => {
  const stages = ['sources/', 'streams/', 'sinks/', 'offsets/', 'tables/', 'transforms/']
  const above = ['pipeline.ts', 'tailrace.ts', 'lanes/', 'replay.ts', 'cli.ts', 'commands/', 'index.ts']
  for (const stage of stages) assert.deepEqual(crossing(stage, above), [])
})

test('a port imports types and errors, never an implementation', () => {
  for (const port of ports) {
    assert.ok(files.includes(port), port)
    const implementations = own.filter(
      ({ file, target }) => file === port && !portsMayImport.includes(target),
    )
    assert.deepEqual(implementations, [])
    const values = own.filter(
      ({ file, target, isType }) => file === port && !isType && target !== 'errors.ts',
    )
    assert.deepEqual(values, [])
  }
})

test('each foreign package is imported where the table says, and nowhere else', () => {
  const found: Record<string, string[]> = {}
  for (const { file, target } of foreign) {
    const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/')
    found[name] = [...new Set([...(found[name] ?? []), file])].sort()
  }
  assert.deepEqual(found, foreignPackages)
})

test('every dependency is imported, and every import is a dependency', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8'))
  // tsx runs the source; nothing imports it.
  const imported = [...Object.keys(foreignPackages), 'tsx']
  assert.deepEqual(Object.keys(dependencies).sort(), imported.sort())
})

test('imports between files name existing files, and values go round in no circle', () => {
  for (const { file, target } of own) assert.ok(files.includes(target), `${file} imports ${target}`)
  const followed = new Map<string, 'open' | 'done'>()
  const follow = (file: string, path: readonly string[]): void => {
    assert.notEqual(followed.get(file), 'open', [...path, file].join(' -> '))
    if (followed.get(file) === 'done') return
    followed.set(file, 'open')
    for (const one of own) if (one.file === file && !one.isType) follow(one.target, [...path, file])
    followed.set(file, 'done')
  }
  for (const file of files) follow(file, [])
})

/** Where a list that is spread into a call has a limit: a batch's files and pieces, a config's volumes, spellings of a name. */
const shortSpreads: readonly string[] = [
  'lanes/listed-lanes.ts',
  'sinks/databricks/merge-loader.ts',
  'sinks/encoder.ts',
  'sinks/part-writer.ts',
  'sinks/projection.ts',
  'sources/discovery/resource-folders.ts',
  'streams/disk-space-monitor.ts',
]

test('no list of unlimited length is spread into a call: 125,000 arguments overflow the stack', () => {
  const spread =
    /\b(?:push|unshift|concat|fromCharCode|fromCodePoint|Math\.(?:max|min|hypot))\((?:[^(){}]*, )?\.\.\./
  const spreading = files.filter((file) => spread.test(readFileSync(join(root, file), 'utf8')))
  assert.deepEqual(
    spreading.filter((file) => !shortSpreads.includes(file)),
    [],
  )
})

/** Imports from one folder into others, as `file -> file`. */
function crossing(from: string, to: readonly string[]): string[] {
  return own
    .filter(({ file, target }) => file.startsWith(from) && to.some((place) => target.startsWith(place)))
    .map(({ file, target }) => `${file} -> ${target}`)
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)
  const calls = text.matchAll(/\b(?:require|import)\('([^']+)'\)/g)
  return [
    ...[...statements].map(([, type, name]) => ({ name: name as string, isType: type !== undefined })),
    ...[...calls].map(([, name]) => ({ name: name as string, isType: false })),
  ].map(({ name, isType }) => ({
    file,
    isType,
    target: name.startsWith('.') ? relative(root, join(root, dirname(file), name)) : name,
  }))
}
