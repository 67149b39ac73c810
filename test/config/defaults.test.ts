import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { durationText } from '../../src/config/duration.ts'
import type { SinkConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { databricksSink } from '../../src/sinks/databricks/sink.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'

type Value = string | number | boolean

const delta: SinkConfig = { kind: 'delta', root: '/' }
const databricks: SinkConfig = {
  kind: 'databricks',
  host: 'host',
  httpPath: '/sql/1.0/warehouses/a',
  auth: { kind: 'entra' },
  volume: '/Volumes/a/b/c',
}

const page = textOf('docs/configuration.md')

/** Options whose default is another option, or depends on one. */
const derived = ['disk.resumeFreeBytes']

test('docs/configuration.md states every default of a config, and no other one', () => {
  for (const [sections, defaults] of [
    [['Top level', 'A pipeline'], defaultsOf(delta)],
    [
      ['A sink in Databricks'],
      new Map([...defaultsOf(databricks)].filter(([path]) => path.startsWith('sink.'))),
    ],
  ] as const) {
    const rows = new Map(sections.flatMap(rowsOf))
    const said = [...rows].filter(([path, cell]) => /^[`\d]/.test(cell) && !derived.includes(path))
    assert.deepEqual(said.map(([path]) => path).sort(), [...defaults.keys()].sort())
    for (const [path, value] of defaults) {
      const cell = rows.get(path)!
      assert.ok(
        cell.startsWith(formOf(value, '`')),
        `${path}: the page says ${cell}, the default is ${value}`,
      )
    }
  }
  const { maxBytes, landEveryMs } = batchOf(databricks)
  const merge = batchOf({ ...databricks, mode: 'merge' })
  const { limit } = databricksSink.batchDefaults({ ...databricks, mode: 'merge' } as never)
  const sentence = `Here \`batch.landEvery\` is \`'${durationText(landEveryMs)}'\` by default, unless \`batch.maxAgeMs\` is set; \`batch.maxBytes\` is ${amount(maxBytes)}, and with \`merge\` ${amount(merge.maxBytes)} (${amount(limit!.maxBytes)} at most).`
  assert.ok(page.replaceAll('\n', ' ').includes(sentence), sentence)
})

test('the docstring of every option states its default', () => {
  for (const [files, defaults] of [
    [['config/options.ts', 'sources/options.ts', 'sinks/delta/options.ts'], defaultsOf(delta)],
    [
      ['sinks/databricks/options.ts'],
      new Map([...defaultsOf(databricks)].filter(([path]) => path.startsWith('sink.'))),
    ],
  ] as const) {
    const docstrings = new Map(files.flatMap(docstringsOf))
    for (const [path, value] of defaults) {
      const text = docstrings.get(path) ?? ''
      const quoted = formOf(value, '`')
      const forms = [`Default ${quoted}`, `Default ${formOf(value, '')}`, `${quoted} (default)`]
      const isSaid = forms.some((form) => text.includes(form))
      assert.ok(isSaid, `${path}: the docstring says ${text}, the default is ${value}`)
    }
  }
})

/** The values that a resolved config has without being given, by path. */
function defaultsOf(sink: SinkConfig): Map<string, Value> {
  const given = {
    pipelines: {
      one: {
        source: { storage: { kind: 'embedded' as const }, container: 'logs', blobs: 'a' },
        table: postgresLogs('a.b.c'),
        sink,
      },
    },
    metrics: { port: 0 },
  }
  const config = resolveConfig(given, '/')
  const { source, batch, sink: options, whenFenced } = config.pipelines.one!
  const { stateDirectory, disk, metrics, page: served, health, stopMs, restart, logLevel } = config
  const all = {
    stateDirectory,
    disk,
    metrics,
    page: served,
    health,
    stopMs,
    restart,
    logLevel,
    source,
    batch,
    sink: options,
    whenFenced,
  }
  const { one } = given.pipelines
  const chosen = new Set(leavesOf({ ...one, table: {}, metrics: given.metrics }).map(([path]) => path))
  return new Map(leavesOf(all).filter(([path]) => !chosen.has(path)))
}

function batchOf(sink: SinkConfig): { readonly maxBytes: number; readonly landEveryMs: number } {
  const defaults = defaultsOf(sink)
  return {
    maxBytes: Number(defaults.get('batch.maxBytes')),
    landEveryMs: Number(defaults.get('batch.landEveryMs')),
  }
}

function leavesOf(value: object, path = ''): [path: string, value: Value][] {
  return Object.entries(value).flatMap(([key, inner]): [string, Value][] => {
    // A layout is one value: its keys exclude each other.
    if (key === 'layout') return [[path + key, "{ clusterBy: 'auto' }"]]
    if (typeof inner === 'object' && inner !== null) return leavesOf(inner, `${path}${key}.`)
    return inner === undefined ? [] : [[path + key, inner as Value]]
  })
}

/** As page and docstrings write it: whole MiB or digits in groups of three; other values in quotes. */
function formOf(value: Value, quote: string): string {
  if (typeof value === 'number') return amount(value)
  const text = value === resolve('/', './.tailrace') ? './.tailrace' : String(value)
  return `${quote}${text}${quote}`
}

function amount(value: number): string {
  return value % 1024 ** 2 === 0 && value > 0 ? `${value / 1024 ** 2} MiB` : value.toLocaleString('en-US')
}

function rowsOf(section: string): [path: string, defaultCell: string][] {
  const [, text = ''] = page.split(`\n## ${section}\n`)
  return [...text.split('\n## ', 1)[0]!.matchAll(/^\| `([\w.]+)` .*\| (.*?) *\|$/gm)].map(
    ([, path, cell]) => [path!, cell!],
  )
}

/** Where the options of an interface stand in a config. */
const places: Readonly<Record<string, string>> = {
  TailraceConfig: '',
  PipelineConfig: '',
  BatchConfig: 'batch.',
  DiskConfig: 'disk.',
  MetricsConfig: 'metrics.',
  PriceConfig: 'metrics.prices.',
  PageConfig: 'page.',
  HealthConfig: 'health.',
  RunsConfig: 'runs.',
  RestartConfig: 'restart.',
  SourceConfig: 'source.',
  DeltaSinkConfig: 'sink.',
  OptimizeConfig: 'sink.optimize.',
  ArchiveOffsetsConfig: 'sink.archiveOffsets.',
  DatabricksSinkConfig: 'sink.',
  DbuPriceConfig: 'sink.prices.',
}

function docstringsOf(file: string): [path: string, text: string][] {
  const interfaces = textOf(`src/${file}`).matchAll(/^export interface (\w+) \{\n(.*?)^\}/gms)
  return [...interfaces].flatMap(([, name, body]) =>
    [...body!.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\n {2}readonly (\w+)\?/gs)].map(
      ([, comment, option]): [string, string] => [
        `${places[name!]}${option}`,
        comment!.replaceAll(/\s*\n\s*\* ?/g, ' '),
      ],
    ),
  )
}

function textOf(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}
