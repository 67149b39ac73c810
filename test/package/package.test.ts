import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { createConsumer, diskBytes, installNodes, packInto, runProgram } from './consumer.ts'

const releases = [20, 22, 24]

let root: string
let consumer: string
let nodeOf: (release: number) => string

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'tailrace-package-'))
  consumer = join(root, 'consumer')
  const nodes = join(root, 'nodes')
  await Promise.all([mkdir(consumer), mkdir(nodes)])
  const tarball = await packInto(root)
  await createConsumer(consumer, tarball)
  nodeOf = await installNodes(nodes, releases)
})

after(() => rm(root, { recursive: true, force: true }))

const entryPoints = ['tailrace', 'tailrace/transforms', 'tailrace/testing']

test('the package has bundled modules with their types, and no sources or tests', async () => {
  const files = await readdir(join(consumer, 'node_modules/tailrace'), { recursive: true, encoding: 'utf8' })
  for (const file of [
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'bin/tailrace.js',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli.js',
    'dist/licenses.txt',
    'dist/page/ui/index.html',
    'dist/page/ui/licenses.txt',
    'docs/configuration.md',
    'config.schema.json',
    'sample/logs/primary.ndjson.gz',
  ]) {
    assert.ok(files.includes(file), file)
  }
  assert.deepEqual(
    files.filter((file) =>
      /(?:^|\/)(?:test|bench|doubles|scripts|node_modules)(?:\/|$)|tsbuildinfo/.test(file),
    ),
    [],
  )
  assert.deepEqual(
    files.filter((file) => /(?<!\.d)\.ts$/.test(file)),
    [],
  )
})

test('an install for production takes at most 170 MB', async (t) => {
  const megabytes = (await diskBytes(join(consumer, 'node_modules'))) / 1024 ** 2
  t.diagnostic(`${megabytes.toFixed(0)} MB`)
  assert.ok(megabytes <= 170, `${megabytes} MB`)
})

test('every entry point is imported by plain Node of each supported release', async () => {
  const script = entryPoints
    .map((name) => `console.log(Object.keys(await import('${name}')).join())`)
    .join(';')
  for (const release of releases) {
    const { code, stdout, stderr } = await runProgram(
      nodeOf(release),
      ['--input-type=module', '--eval', script],
      { cwd: consumer },
    )
    assert.deepEqual([code, stderr], [0, ''], `Node ${release}`)
    const [index, transforms, testing] = stdout.split('\n')
    assert.match(index!, /\bTailrace\b.*\bdefineConfig\b/)
    assert.equal(transforms, 'redactLiterals,sampleSeverity')
    assert.equal(testing, 'LandedOffsets,MemoryBlobs,MemoryTable,landInMemory,transformLines')
  }
})

const compiler = join(projectRoot, 'node_modules/typescript/bin/tsc')

const typedConfig = `import { defineConfig, loadConfig, postgresLogs, replay, status, Tailrace, verify } from 'tailrace'
import { type RecordTransform, redactLiterals } from 'tailrace/transforms'
import { transformLines } from 'tailrace/testing'

const tag: RecordTransform = (record) => ({ ...record, tenant: 'a' })
const [first] = await transformLines(['{"message":"m"}'], [tag, redactLiterals()])
const tenant: unknown = first?.record?.tenant
export const used = [loadConfig, replay, status, Tailrace, verify, tenant]
export default defineConfig({
  pipelines: {
    one: {
      source: { storage: { kind: 'account', account: 'mylogs' }, container: 'logs', blobs: 'a/' },
      transforms: [tag],
      table: postgresLogs('a.b.c'),
      sink: { kind: 'delta', root: './lakehouse' },
    },
  },
})
`

test('the types hold without skipLibCheck, however the consumer resolves modules', async () => {
  const check = async (text: string, mode: readonly string[]): Promise<string> => {
    await writeFile(join(consumer, 'typed.mts'), text)
    const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', ...mode]
    return (await runProgram(process.execPath, [compiler, ...options, 'typed.mts'], { cwd: consumer })).stdout
  }
  for (const mode of [
    ['--module', 'node16'],
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ]) {
    assert.equal(await check(typedConfig, mode), '', mode.join(' '))
    const wrong = typedConfig.replace("root: './lakehouse'", 'root: 1')
    assert.match(await check(wrong, mode), /Type 'number' is not assignable to type 'string'/, mode.join(' '))
  }
})

test('the examples of the pages compile in a project that has installed the package', async () => {
  const pages = [
    'README.md',
    ...readdirSync(join(projectRoot, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((page) => `docs/${page}`),
  ]
  const files: string[] = []
  for (const page of pages.filter((page) => page !== 'docs/api.md')) {
    const text = readFileSync(join(projectRoot, page), 'utf8')
    // A block without an import is a part of a config.
    for (const [, code = ''] of text.matchAll(/^```ts\n(.*?)^```$/gms)) {
      if (!code.includes('import ')) continue
      const file = `example-${files.length}.mts`
      await writeFile(join(consumer, file), code)
      files.push(file)
    }
  }
  assert.ok(files.length > 4)
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext']
  const { stdout } = await runProgram(process.execPath, [compiler, ...options, ...files], { cwd: consumer })
  assert.equal(stdout, '')
})

/** A config that reads where the logs are from the environment, with the import that its kind of module has. */
function config(head: string, end: string): string {
  return `${head}
const { AZURE_STORAGE_CONNECTION_STRING: connectionString = '', LAKEHOUSE: root = '' } = readEnvironment({
  AZURE_STORAGE_CONNECTION_STRING: 'text',
  LAKEHOUSE: 'text',
})
const storage = connectionString === '' ? { kind: 'embedded' } : { kind: 'connection-string', connectionString }
${end} defineConfig({
  stateDirectory: root + '/state',
  pipelines: {
    one: {
      source: { storage, container: 'logs', blobs: 'a.ndjson' },
      transforms: [redactLiterals()],
      table: postgresLogs('a.b.c'),
      sink: { kind: 'delta', root },
    },
  },
})
`
}

const esHead = `import { defineConfig, postgresLogs, readEnvironment } from 'tailrace'
import { redactLiterals } from 'tailrace/transforms'`
const configs: Readonly<Record<string, string>> = {
  // An enum and an import without a suffix: more than stripping types.
  'pipeline.config.ts': `${config(esHead, 'export default')}import { Kind } from './kind'
await Promise.resolve(Kind.One satisfies string)
`,
  'kind.ts': `export enum Kind { One = 'one' }\n`,
  'pipeline.config.mts': config(esHead, 'export default'),
  'pipeline.config.mjs': config(esHead, 'export default'),
  'pipeline.config.js': config(
    `const { defineConfig, postgresLogs, readEnvironment } = require('tailrace')
const { redactLiterals } = require('tailrace/transforms')`,
    'module.exports =',
  ),
}

test('configs in TypeScript and JavaScript land a blob from a project of CommonJS modules, in every release of Node', async (t) => {
  const storage = await startStorage(t)
  await storage.append('a.ndjson', linesAsBytes([jsonlogLine(1), 'no JSON', jsonlogLine(2)]))
  for (const [name, text] of Object.entries(configs)) await writeFile(join(consumer, name), text)
  const env = { AZURE_STORAGE_CONNECTION_STRING: storage.connectionString }
  for (const release of releases) {
    for (const name of Object.keys(configs).filter((one) => one.startsWith('pipeline'))) {
      const where = `${name} in Node ${release}`
      const root = join(consumer, 'lakehouse', name, String(release))
      const { code, stdout, stderr } = await runProgram(
        nodeOf(release),
        ['node_modules/tailrace/bin/tailrace.js', 'start', '--once', '--config', name],
        { cwd: consumer, env: { ...env, LAKEHOUSE: root } },
      )
      assert.equal(code, 0, `${where}: ${stderr}`)
      assert.equal(JSON.parse(stdout).pipelines.one.rows, 3, where)
      assert.doesNotMatch(stderr, /warning/i, where)
    }
  }
})

test('a whole config is tested without storage, from a project of the package, in every release of Node', async () => {
  await writeFile(join(consumer, 'pipeline.config.ts'), configs['pipeline.config.ts']!)
  await writeFile(
    join(consumer, 'config.test.mjs'),
    `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from 'tailrace'
import { landInMemory, MemoryBlobs } from 'tailrace/testing'

test('literals do not reach the table', async () => {
  const blobs = new MemoryBlobs()
  blobs.append('a.ndjson', ${JSON.stringify(`${jsonlogLine(1, "statement: SELECT * FROM users WHERE name = 'Ann'")}\n`)})
  const { rows } = await landInMemory(await loadConfig('pipeline.config.ts'), { pipeline: 'one', blobs })
  assert.deepEqual(rows.map(({ message }) => message), ['statement: SELECT * FROM users WHERE name = ?'])
})
`,
  )
  const connectionString = 'BlobEndpoint=http://127.0.0.1:1/logs;SharedAccessSignature=sig=a'
  for (const release of releases) {
    const { code, stdout, stderr } = await runProgram(nodeOf(release), ['--test', 'config.test.mjs'], {
      cwd: consumer,
      env: { AZURE_STORAGE_CONNECTION_STRING: connectionString, LAKEHOUSE: join(consumer, 'unused') },
    })
    assert.equal(code, 0, `Node ${release}: ${stdout}${stderr}`)
    assert.match(stdout, /pass 1\b/)
  }
})

test('a config that is loaded again is read anew with the modules it imports, in every release of Node', async () => {
  const script = `import { writeFileSync } from 'node:fs'
import { loadConfig } from 'tailrace'
const ports = []
for (const port of [1, 2, 3]) {
  writeFileSync('value.ts', 'export const port: number = ' + port)
  writeFileSync('value.cjs', 'module.exports = { port: ' + port + ' }')
  for (const name of ['again.config.ts', 'again.config.cjs']) ports.push((await loadConfig(name)).metrics.port)
}
console.log(ports.join())`
  const rest = `({ metrics: { port }, pipelines: { one: { source: { storage: { kind: 'account', account: 'mylogs' },
    container: 'logs', blobs: 'a/' }, table: postgresLogs('a.b.c'), sink: { kind: 'delta', root: '.' } } } })\n`
  await writeFile(
    join(consumer, 'again.config.ts'),
    `import { defineConfig, postgresLogs } from 'tailrace'\nimport { port } from './value'\nexport default defineConfig${rest}`,
  )
  await writeFile(
    join(consumer, 'again.config.cjs'),
    `const { defineConfig, postgresLogs } = require('tailrace')\nconst { port } = require('./value.cjs')\nmodule.exports = defineConfig${rest}`,
  )
  await writeFile(join(consumer, 'again.mjs'), script)
  for (const release of releases) {
    const { stdout, stderr } = await runProgram(nodeOf(release), ['again.mjs'], { cwd: consumer })
    assert.equal(stdout, '1,1,2,2,3,3\n', `Node ${release}: ${stderr}`)
  }
})

test('npx runs the command', async (t) => {
  const storage = await startStorage(t)
  await storage.append('a.ndjson', linesAsBytes([jsonlogLine(1)]))
  await writeFile(join(consumer, 'pipeline.config.ts'), configs['pipeline.config.ts']!)
  const env = {
    AZURE_STORAGE_CONNECTION_STRING: storage.connectionString,
    LAKEHOUSE: join(consumer, 'lakehouse/npx'),
  }
  const run = (...args: string[]) => runProgram('npx', ['tailrace', ...args], { cwd: consumer, env })
  const started = await run('start', '--once')
  assert.equal(started.code, 0, started.stderr)
  const verified = await run('verify', '--json')
  assert.equal(JSON.parse(verified.stdout).complete, true)
  // The views are files of SQL, which the package has to hold.
  const queried = await run('query', '--format', 'json', 'SELECT count(*)::INTEGER AS records FROM logs')
  assert.deepEqual(JSON.parse(queried.stdout), [{ records: 1 }], queried.stderr)
})

test('a start needs no program on the PATH, as in a container that has only Node', async (t) => {
  const storage = await startStorage(t)
  await storage.append('a.ndjson', linesAsBytes([jsonlogLine(1)]))
  const env = {
    AZURE_STORAGE_CONNECTION_STRING: storage.connectionString,
    LAKEHOUSE: join(consumer, 'lakehouse/alone'),
    PATH: '',
  }
  await writeFile(join(consumer, 'pipeline.config.mjs'), configs['pipeline.config.mjs']!)
  const { code, stderr } = await runProgram(
    process.execPath,
    ['node_modules/tailrace/bin/tailrace.js', 'start', '--once', '--config', 'pipeline.config.mjs'],
    { cwd: consumer, env },
  )
  assert.equal(code, 0, stderr)
  assert.doesNotMatch(stderr, /"level":"(?:warn|error)"/)
})

test('a config that needs a package that is not installed ends with the command that installs it', async () => {
  const storages = {
    azurite: `{ kind: 'embedded' }`,
    '@azure/identity': `{ kind: 'account', account: 'mylogs' }`,
  }
  const databricks = `sink: { kind: 'databricks', host: 'adb-1.azuredatabricks.net', httpPath: '/sql/1.0/warehouses/0',
    auth: { kind: 'token', token: 'none' }, volume: '/Volumes/a/b/c' }`
  const text = configs['pipeline.config.mjs']!
  const needy = {
    ...Object.fromEntries(
      Object.entries(storages).map(([name, storage]) => [
        name,
        text.replace(/const storage = .*/, `const storage = ${storage}`),
      ]),
    ),
    '@databricks/sql': text
      .replace(/sink: \{.*\}/, databricks)
      .replace(
        /const storage = .*/,
        `const storage = { kind: 'shared-key', account: 'mylogs', key: 'aaaa' }`,
      ),
  }
  for (const [name, config] of Object.entries(needy)) {
    await writeFile(join(consumer, 'needy.config.mjs'), config)
    const { code, stderr } = await runProgram(
      process.execPath,
      ['node_modules/tailrace/bin/tailrace.js', 'start', '--once', '--config', 'needy.config.mjs'],
      { cwd: consumer, env: { LAKEHOUSE: join(consumer, 'lakehouse/needy') } },
    )
    assert.equal(code, 2, `${name}: ${stderr}`)
    assert.match(stderr, new RegExp(`PACKAGE_MISSING: .* ${name}, .*: npm install ${name}@[\\^\\d.]+\n`))
  }
})

test('help and version take less than half a second of CPU', async (t) => {
  const meter = `data:text/javascript,${encodeURIComponent(
    "process.on('exit', () => { const { user, system } = process.cpuUsage(); console.error((user + system) / 1e6) })",
  )}`
  for (const option of ['--help', '--version']) {
    const { code, stderr } = await runProgram(
      process.execPath,
      ['--import', meter, 'node_modules/tailrace/bin/tailrace.js', option],
      { cwd: consumer },
    )
    assert.equal(code, 0, stderr)
    t.diagnostic(`${option} ${Number(stderr).toFixed(2)} s`)
    assert.ok(Number(stderr) < 0.5, `${option} took ${stderr} s`)
  }
})
