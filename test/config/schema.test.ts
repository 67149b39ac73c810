import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import {
  configSchemaText,
  declaredOptions,
  optionGroups,
  type SchemaPart,
} from '../../scripts/config-schema.ts'
import type { TailraceConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const root = new URL('../../', import.meta.url)
const textOf = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** Its formats all have patterns beside them. */
const validate = new Ajv2020({ allErrors: true, strict: false, validateFormats: false }).compile(
  JSON.parse(textOf('config.schema.json')) as object,
)

test('config.schema.json is what the validation and the doc comments say', () => {
  assert.ok(
    textOf('config.schema.json') === configSchemaText(),
    'config.schema.json is older: run pnpm schema',
  )
})

test('every option of the types is in the schema, with its doc comment, and no other one', () => {
  const groups = optionGroups(JSON.parse(textOf('config.schema.json')) as SchemaPart)
  for (const group of groups) {
    const declared = declaredOptions(group)
    assert.ok(declared.size >= 1, group.name)
    assert.deepEqual(
      [...declared.keys()].toSorted(),
      Object.keys(group.part.properties!).toSorted(),
      group.name,
    )
    for (const [option, comment] of declared) {
      if (comment !== '') assert.equal(group.part.properties![option]!.description, comment)
    }
  }
  // An interface of options that the list of groups does not have would go unnoticed.
  const files = new Set(groups.map(({ file }) => file))
  const interfaces = [...files].flatMap((file) =>
    [...textOf(`src/${file}`).matchAll(/^export interface (\w+Config) /gm)].map(([, name]) => name),
  )
  assert.deepEqual(interfaces.toSorted(), groups.map(({ name }) => name).toSorted())
})

/** Evaluates the text of a config with the modules of this process. */
async function evaluated(directory: string, name: string, text: string): Promise<TailraceConfig> {
  const own = (path: string) => `'${new URL(`src/${path}`, root).href}'`
  const file = join(directory, `${name}.ts`)
  await writeFile(
    file,
    text
      .replaceAll("'tailrace/transforms'", own('transforms/index.ts'))
      .replaceAll("'tailrace'", own('index.ts')),
  )
  const { default: config } = (await import(pathToFileURL(file).href)) as { default: TailraceConfig }
  return config
}

test('every config that the pages show, the one that ships and the one that init writes is valid by the schema', async (t) => {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  const written = await runTailrace(t, ['init', '--file', join(directory, 'init.txt')])
  assert.equal(written.code, 0, written.stderr)
  const pages = [
    'README.md',
    ...readdirSync(new URL('docs', root))
      .filter((name) => name.endsWith('.md'))
      .map((page) => `docs/${page}`),
  ]
  const examples = pages.flatMap((page) =>
    [...textOf(page).matchAll(/^```ts\n(.*?)^```$/gms)]
      .map(([, code = '']) => code)
      .filter((code) => code.includes('export default defineConfig(')),
  )
  assert.ok(examples.length >= 3, `${examples.length} examples`)
  const configs = await Promise.all(
    [...examples, readFileSync(join(directory, 'init.txt'), 'utf8')].map((text, index) =>
      evaluated(directory, `config-${index}`, text),
    ),
  )
  const { default: shipped } = (await import(new URL('pipeline.config.ts', root).href)) as {
    default: TailraceConfig
  }
  for (const config of [...configs, shipped]) {
    resolveConfig(config, directory)
    // As JSON has it: an option that is undefined is not there.
    assert.ok(validate(withoutUndefined(config)), JSON.stringify(validate.errors))
  }
})

test('the schema refuses what the validation refuses: unknown and missing options, wrong types, words and ranges', () => {
  const source = { storage: { kind: 'account', account: 'mylogs' }, container: 'logs', blobs: 'a/' }
  const table = postgresLogs('a.b.c')
  const databricks = {
    kind: 'databricks',
    host: 'adb-1.azuredatabricks.net',
    httpPath: '/sql/1.0/warehouses/a',
    auth: { kind: 'token', token: 'a' },
    volume: '/Volumes/a/b/c',
  }
  const configOf = (pipeline: object, more: object = {}) => ({
    pipelines: { one: { source, table, sink: { kind: 'delta', root: './lakehouse' }, ...pipeline } },
    ...more,
  })
  const verdicts = (config: object) => {
    let isValid = true
    try {
      resolveConfig(config as TailraceConfig, '/')
    } catch {
      isValid = false
    }
    return [isValid, validate(config)]
  }
  for (const right of [
    configOf({}),
    configOf({ sink: databricks, batch: { maxRows: 1 }, whenFenced: 'exit', transforms: [] }),
    configOf({}, { logLevel: 'warn', metrics: { port: 0 }, disk: { minFreeBytes: 0 }, stopMs: 0 }),
  ]) {
    assert.deepEqual(verdicts(right), [true, true], JSON.stringify(validate.errors))
  }
  for (const wrong of [
    configOf({}, { logLevel: 'loud' }),
    configOf({}, { stateDirectory: '' }),
    configOf({}, { metrics: {} }),
    configOf({}, { metrics: { port: 65_536 } }),
    configOf({}, { polling: 1 }),
    configOf({ table: 'a.b.c' }),
    configOf({ source: { ...source, pollMs: 99 } }),
    configOf({ source: { ...source, maxLanes: '16' } }),
    configOf({ source: { ...source, storage: { kind: 'disk' } } }),
    configOf({ source: { ...source, container: 'Not_A_Container' } }),
    configOf({ sink: { kind: 'delta' } }),
    configOf({ sink: { kind: 'databricks', auth: databricks.auth } }),
    configOf({ sink: { ...databricks, mode: 'append' } }),
    configOf({ batch: { maxRows: 0.5 } }),
    configOf({ whenFenced: 'stop' }),
    { pipelines: { one: { source } } },
    {},
  ]) {
    assert.deepEqual(verdicts(wrong), [false, false], JSON.stringify(wrong))
  }
})

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => [key, withoutUndefined(inner)]),
  )
}
