import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Where each foreign package may be imported; one file wherever that is natural. */
const foreignPackages: Readonly<Record<string, readonly string[]>> = {
  '@azure/identity': ['azure/entra-credential.ts'],
  '@azure/monitor-ingestion': ['run/telemetry/log-analytics/log-analytics.ts'],
  '@azure/storage-blob': [
    'azure/connect-container.ts',
    'azure/connecting-agent.ts',
    'azure/container-connection.ts',
    'azure/container-requests.ts',
    'azure/failure.ts',
    'azure/listing.ts',
    'azure/range-body.ts',
    'azure/sdk.ts',
    'azure/source-errors.ts',
    'azure/timed-out-requests.ts',
    'sinks/delta/storage/azure.ts',
    'sources/embedded/embedded-storage.ts',
    'sources/readers/azure-blob-reader.ts',
  ],
  '@commander-js/extra-typings': [
    'commands/program/completion.ts',
    'commands/program/definition.ts',
    'commands/program/inspect-commands.ts',
    'commands/program/mistakes.ts',
    'commands/program/program.ts',
    'commands/program/run-commands.ts',
    'commands/program/setup-commands.ts',
    'commands/program/table-commands.ts',
    'commands/program/unit-commands.ts',
  ],
  '@databricks/sql': ['sinks/databricks/warehouse/driver-session.ts'],
  '@duckdb/node-api': [
    'sinks/encoding/engine-api.ts',
    'sinks/encoding/engine.ts',
    'sinks/encoding/held-file.ts',
    'sinks/encoding/row-stream.ts',
  ],
  '@opentelemetry/api': [
    'run/telemetry/batch-traces.ts',
    'run/telemetry/instants.ts',
    'run/telemetry/metric-data.ts',
    'run/telemetry/otlp-telemetry.ts',
  ],
  '@opentelemetry/otlp-exporter-base': ['run/telemetry/otlp-request.ts'],
  '@opentelemetry/otlp-transformer': [
    'run/telemetry/log-records.ts',
    'run/telemetry/metric-data.ts',
    'run/telemetry/otlp-telemetry.ts',
  ],
  '@opentelemetry/resources': [
    'run/telemetry/batch-traces.ts',
    'run/telemetry/log-records.ts',
    'run/telemetry/metric-data.ts',
    'run/telemetry/otlp-telemetry.ts',
  ],
  '@opentelemetry/sdk-trace-base': ['run/telemetry/batch-traces.ts', 'run/telemetry/otlp-telemetry.ts'],
  azurite: ['sources/embedded/embedded-storage.ts'],
  'check-disk-space': ['streams/staging/disk-space-monitor.ts'],
  '@hono/node-server': ['page/page-server.ts'],
  hono: ['page/api-routes.ts', 'page/http/failures.ts', 'page/http/live-stream.ts', 'page/page-app.ts'],
  'https-proxy-agent': ['sinks/databricks/workspace/http.ts'],
  picomatch: ['sources/discovery/blob-selection.ts'],
  pino: ['reporting/logger.ts'],
  'pino-pretty': ['reporting/logger.ts'],
  'prom-client': ['run/monitoring/metrics.ts'],
  saxes: ['azure/listing.ts'],
  split2: ['streams/line-splitter.ts'],
  'string-width': ['reporting/cell-text.ts'],
  'stream-json': ['streams/documents/top-level-value.ts'],
  tsx: ['config/import-config.ts'],
  zod: [
    'config/mistakes.ts',
    'config/resolved.ts',
    'config/schema.ts',
    'offsets/offset-file.ts',
    'reporting/option-mistakes.ts',
    'run/live-status.ts',
    'run/recording/run-journal.ts',
    'run/units/unit-files.ts',
    'sinks/databricks/options.ts',
    'sinks/delta/options.ts',
    'sinks/sink.ts',
    'sources/options.ts',
    'zod.ts',
  ],
}

test('ARCHITECTURE.md says where each foreign package is imported', () => {
  const rows = architecture
    .split('\n')
    .filter((line) => /^\| `[@a-z]/.test(line))
    .map((line) =>
      line.split('|').map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text as string)),
    )
  for (const [name, users] of Object.entries(foreignPackages)) {
    const paths = rows.find(([, packages]) => packages?.includes(name))?.[2] ?? []
    const strays = users.filter((file) => !paths.some((path) => `src/${file}`.startsWith(path)))
    assert.deepEqual(strays, [], `files that import ${name} outside of ${paths.join(', ')}`)
    const unused = paths.filter((path) => !users.some((file) => `src/${file}`.startsWith(path)))
    assert.deepEqual(unused, [], `paths without an import of ${name}`)
  }
})

/** Files that only say what an implementation has to do. */
const ports = [
  'sources/blob-reader.ts',
  'sources/discovery/blob-discovery.ts',
  'run/lanes/lane-schedule.ts',
  'sinks/sink.ts',
  'sinks/table-committer.ts',
  'sinks/delta/storage/delta-storage.ts',
  'sinks/databricks/warehouse/warehouse.ts',
  'sinks/databricks/staging/volume-staging.ts',
  'sinks/databricks/loading/row-loader.ts',
]

/** What a port may use: the types that flow, errors, and declarations. */
const portsMayImport = [
  'azure/account-storage.ts',
  'clock.ts',
  'offsets/offset-file.ts',
  'offsets/offset-file-writer.ts',
  'reporting/logger.ts',
  'sinks/landed-rows.ts',
  'sinks/query-session.ts',
  'sinks/sink-setup.ts',
  'sinks/table-reports.ts',
  'sinks/encoding/row-stream.ts',
  'records.ts',
  'offsets/archived-offsets.ts',
  'offsets/landed-offsets.ts',
  'offsets/load-intent.ts',
  'retry.ts',
  'sources/blob-reader.ts',
  'errors.ts',
  'tables/table.ts',
  'tables/views.ts',
  'sinks/encoding/engine.ts',
  'sinks/table-committer.ts',
]

interface Import {
  readonly file: string
  /** A path below `src`, or a package's name. */
  readonly target: string
  readonly isType: boolean
}

const root = fileURLToPath(new URL('../src', import.meta.url))
const architecture = readFileSync(join(root, '../ARCHITECTURE.md'), 'utf8')
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
/** The page in the browser is a program of its own, with rules of its own: see the last test. */
const files = sources.filter((file) => file.endsWith('.ts') && !file.startsWith('page/ui/'))
const imports = files.flatMap(importsOf)
const own = imports.filter(({ target }) => target.endsWith('.ts'))
const foreign = imports.filter(({ target }) => !/^(?:node:|\.)|\.ts$/.test(target))

/** The rooms from the top down; those of one line know nothing of each other, except where `beside` allows it. */
const levels: readonly (readonly string[])[] = [
  ['index.ts', 'cli.ts'],
  ['commands/'],
  ['run/', 'page/'],
  ['config/'],
  ['sources/', 'sinks/'],
  ['streams/', 'azure/'],
  ['transforms/', 'offsets/', 'tables/', 'reporting/'],
  [''],
]

test('the root of src holds the entry points and the files that several folders use', () => {
  assert.deepEqual(files.filter((file) => !file.includes('/')).sort(), [
    'cli.ts',
    'clock.ts',
    'errors.ts',
    'index.ts',
    'json.ts',
    'package.ts',
    'records.ts',
    'retry.ts',
    'zod.ts',
  ])
})

function levelOf(file: string): number {
  return levels.findIndex((rooms) => rooms.some((room) => file.startsWith(room)))
}

test('imports go downward only', () => {
  const nameOf = (file: string): string => levels[levelOf(file)]!.find((room) => file.startsWith(room))!
  const wrong = own
    .filter(({ file, target }) => nameOf(file) !== nameOf(target) && levelOf(file) >= levelOf(target))
    .map(({ file, target }) => `${file} -> ${target}`)
  assert.deepEqual(wrong, [])
})

/** How many rooms, and how many files, the longest chain of imports may have. Fewer are better; see ARCHITECTURE.md. */
const maxLayers = { rooms: 9, files: 18 }

/** How many pairs of rooms imports may connect. */
const maxConnections = 109

/** A folder of `src`, or a file at its root. */
function roomOf(file: string): string {
  return file.split('/', 1)[0]!
}

/** The longest chain of imports between places, of a file or of what stands for it. */
function longestChain(placeOf: (file: string) => string): readonly string[] {
  const chains = new Map<string, readonly string[]>()
  const chainFrom = (place: string): readonly string[] => {
    const known = chains.get(place)
    if (known !== undefined) return known
    const below = own
      .filter(({ file, target }) => placeOf(file) === place && placeOf(target) !== place)
      .map(({ target }) => chainFrom(placeOf(target)))
    const chain = [place, ...(below.toSorted((a, b) => b.length - a.length)[0] ?? [])]
    chains.set(place, chain)
    return chain
  }
  return files.map((file) => chainFrom(placeOf(file))).toSorted((a, b) => b.length - a.length)[0]!
}

test('imports have no more layers, and connect no more rooms, than ARCHITECTURE.md says', () => {
  for (const [unit, placeOf] of [
    ['rooms', roomOf],
    ['files', (file: string) => file],
  ] as const) {
    const chain = longestChain(placeOf)
    assert.ok(chain.length <= maxLayers[unit], `${chain.length} ${unit}: ${chain.join(' -> ')}`)
  }
  const connected = new Set(
    own
      .map(({ file, target }) => [roomOf(file), roomOf(target)])
      .flatMap(([a, b]) => (a === b ? [] : `${a} ${b}`)),
  )
  assert.ok(connected.size <= maxConnections, `${connected.size} pairs of rooms`)
  const said = `at most ${maxLayers.rooms} rooms and ${maxLayers.files} files, and at most ${maxConnections} pairs of rooms`
  assert.ok(architecture.replaceAll(/\s+/g, ' ').includes(said), said)
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

test('every dependency is imported, and every import is a dependency or an optional one', () => {
  const { dependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(join(root, '../package.json'), 'utf8'),
  )
  const known = [...Object.keys(dependencies), ...Object.keys(peerDependenciesMeta)]
  // The typings pass commander on, and the bundled modules of the engine load its binary.
  const indirect = ['commander', '@duckdb/node-bindings']
  assert.deepEqual(known.sort(), [...Object.keys(foreignPackages), ...indirect].sort())
})

test('no two files export the same name', () => {
  const owners = new Map<string, string[]>()
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8')
    const declared = text.matchAll(
      /^export (?:abstract |async )*(?:function\*?|class|const|interface|type) (\w+)/gm,
    )
    for (const [, name] of declared) owners.set(name!, [...(owners.get(name!) ?? []), file])
  }
  assert.deepEqual(
    [...owners].filter(([, declaring]) => declaring.length > 1),
    [],
  )
})

test('imports between files name existing files, and imports go round in no circle', () => {
  for (const { file, target } of own) assert.ok(files.includes(target), `${file} imports ${target}`)
  const followed = new Map<string, 'open' | 'done'>()
  const follow = (file: string, path: readonly string[]): void => {
    assert.notEqual(followed.get(file), 'open', [...path, file].join(' -> '))
    if (followed.get(file) === 'done') return
    followed.set(file, 'open')
    for (const one of own) if (one.file === file) follow(one.target, [...path, file])
    followed.set(file, 'done')
  }
  for (const file of files) follow(file, [])
})

/**
 * Where a list that is spread into a call has a limit: a batch's files and pieces, a config's volumes, spellings of a name,
 * records of a request.
 */
const shortSpreads: readonly string[] = [
  'sinks/databricks/loading/merge-loader.ts',
  'sinks/encoding/encoder.ts',
  'sinks/encoding/part-writer.ts',
  'sinks/encoding/projection.ts',
  'run/telemetry/log-analytics/log-analytics.ts',
  'sources/discovery/azure-monitor-layout.ts',
  'streams/staging/disk-space-monitor.ts',
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

/** What the page in the browser uses of the rest: the types of its requests and replies, and what has no need of Node. */
const pageMayImport = [
  'page/api.ts',
  'page/api-operate.ts',
  'page/api-report.ts',
  'page/value-text.ts',
  'reporting/escape-text.ts',
]

test('the page in the browser imports itself, the API that it talks to, and packages that are bundled into it', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8'))
  const ofPage = sources.filter((file) => /^page\/ui\/.*\.tsx?$/.test(file))
  assert.ok(ofPage.length > 0)
  const strays = ofPage.flatMap(importsOf).filter(({ target }) => {
    if (/\.tsx?$/.test(target)) return !ofPage.includes(target) && !pageMayImport.includes(target)
    const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/')
    return !/^(?:preact|uplot|@codemirror|@lezer)\b/.test(name) || devDependencies[name] === undefined
  })
  assert.deepEqual(strays, [])
})

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
