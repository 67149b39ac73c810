/**
 * `npx tsx bench/years/layout.ts`: what the layout of a table of a year costs its readers, by its log and statistics alone.
 *
 * For each layout, the log of a table of 1 TB is written (no data file exists), opened and pruned by the code that opens and
 * prunes every table. The files of a day follow from `planCompaction`, fed with the batches of a day in virtual time.
 */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { systemClock } from '../../src/clock.ts'
import type { LiveFile, TableContents } from '../../src/sinks/delta/files/live-files.ts'
import { checkpointPath } from '../../src/sinks/delta/log/checkpoint-reader.ts'
import { writeCheckpoint } from '../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import { planCompaction } from '../../src/sinks/delta/maintenance/compaction-plan.ts'
import { type AddAction, commitPath, encodeActions } from '../../src/sinks/delta/protocol/actions.ts'
import { matchingFiles } from '../../src/sinks/delta/query/pruning.ts'
import { contentsOf } from '../../src/sinks/delta/query/read-table.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { createTable } from '../../src/sinks/delta/table.ts'
import { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { projectDirectory } from '../measured-process.ts'
import { makePageTable } from '../measures/page-table.ts'
import { machineFacts } from '../reports/machine.ts'
import { markdownTable } from '../reports/markdown-table.ts'
import { median } from '../reports/statistics.ts'

const MiB = 1024 * 1024
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Bytes of the data files of a year. */
const yearBytes = 1e12
const days = 365
const firstMs = Date.UTC(2026, 0, 1)
const servers = 1_000
/** Of the layout with a partition for each server, whose log is ten times as long with ten times as many. */
const fewServers = 100
const batchMs = 10_000
/** A background merge checks after so many batches, and this is more than its five minutes. */
const mergeBatches = 100
const bytesPerRow = 60

/** A file of the layout: what the statistics of a reader see of it. */
interface Placed {
  readonly bytes: number
  readonly fromMs: number
  readonly toMs: number
  readonly firstServer: number
  readonly lastServer: number
}

interface Layout {
  readonly name: string
  readonly partitionColumns: readonly string[]
  /** The files of a day, whose first instant is 0. */
  readonly ofDay: () => readonly Placed[]
  /** Files of the whole year, where a file holds rows of several days. Default: those of each day. */
  readonly ofYear?: () => readonly Placed[]
}

const nameOf = (server: number): string => `pg-${String(server).padStart(4, '0')}`

/** The files that batches of a day become by background merges, and by one after the day. */
function mergedDay(targetBytes: number): readonly Placed[] {
  const batches = dayMs / batchMs
  const random = seededRandom(1)
  const placed = new Map<string, Placed>()
  let made = 0
  const add = (one: Placed): AddAction => {
    made += 1
    const path = `${made}.parquet`
    placed.set(path, one)
    return {
      path,
      partitionValues: { event_date: '2026-01-01' },
      size: one.bytes,
      modificationTime: made,
      dataChange: true,
    }
  }
  let files: AddAction[] = []
  const merge = (today: string): void => {
    const { groups } = planCompaction(files, {
      targetBytes,
      minFiles: mergeBatches,
      location: '/',
      today,
    })
    for (const group of groups) {
      const inputs = group.files.map(({ path }) => placed.get(path)!)
      const gone = new Set(group.files)
      files = files.filter((file) => !gone.has(file))
      files.push(
        add({
          bytes: group.bytes,
          fromMs: Math.min(...inputs.map(({ fromMs }) => fromMs)),
          toMs: Math.max(...inputs.map(({ toMs }) => toMs)),
          firstServer: 0,
          lastServer: servers - 1,
        }),
      )
    }
  }
  for (let batch = 0; batch < batches; batch += 1) {
    files.push(
      add({
        // Batches are not equally large: the order of their sizes is not that of their times.
        bytes: (yearBytes / days / batches) * (0.5 + random.next()),
        fromMs: batch * batchMs,
        toMs: (batch + 1) * batchMs,
        firstServer: 0,
        lastServer: servers - 1,
      }),
    )
    if ((batch + 1) % mergeBatches === 0) merge('2026-01-01')
  }
  merge('2026-01-02')
  return files.map(({ path }) => placed.get(path)!)
}

/** A grid of times and servers with one file in each cell, as an engine that clusters by both approaches. */
function grid(spanMs: number, bytes: number, targetBytes: number, byTime: number): readonly Placed[] {
  const count = Math.max(1, Math.round(bytes / targetBytes))
  const columns = Math.max(1, Math.round(count ** byTime))
  const rows = Math.max(1, Math.round(count / columns))
  return Array.from({ length: columns * rows }, (_, index) => {
    const [column, row] = [Math.floor(index / rows), index % rows]
    return {
      bytes: bytes / (columns * rows),
      fromMs: (column * spanMs) / columns,
      toMs: ((column + 1) * spanMs) / columns - 1,
      firstServer: Math.floor((row * servers) / rows),
      lastServer: Math.floor(((row + 1) * servers) / rows) - 1,
    }
  })
}

/** Bytes that Delta's clustering sorts together at a time (`delta.clustering.minCubeSize`, 100 GB by default). */
const cubeBytes = 100e9

function cubes(targetBytes: number, byTime: number): readonly Placed[] {
  const count = yearBytes / cubeBytes
  const spanMs = (days * dayMs) / count
  return Array.from({ length: count }, (_, index) =>
    grid(spanMs, cubeBytes, targetBytes, byTime).map((one) => ({
      ...one,
      fromMs: one.fromMs + index * spanMs,
      toMs: one.toMs + index * spanMs,
    })),
  ).flat()
}

const dayBytes = yearBytes / days
const layouts: readonly Layout[] = [
  ...[32, 128, 512, 1_024].map((mib) => ({
    name: `by date, ${mib} MiB`,
    partitionColumns: ['event_date'],
    ofDay: () => mergedDay(mib * MiB),
  })),
  {
    name: 'by date, sorted by server in the day, 128 MiB',
    partitionColumns: ['event_date'],
    ofDay: () => grid(dayMs, dayBytes, 128 * MiB, 0),
  },
  {
    name: `by date and server, of ${fewServers} servers`,
    partitionColumns: ['event_date', 'server_name'],
    ofDay: () =>
      Array.from({ length: fewServers }, (_, server) => ({
        bytes: dayBytes / fewServers,
        fromMs: 0,
        toMs: dayMs - 1,
        firstServer: server,
        lastServer: server,
      })),
  },
  {
    name: 'clustered by time, 128 MiB',
    partitionColumns: [],
    ofDay: () => [],
    ofYear: () => cubes(128 * MiB, 1),
  },
  {
    name: 'clustered by time and server, 128 MiB',
    partitionColumns: [],
    ofDay: () => [],
    ofYear: () => cubes(128 * MiB, 0.5),
  },
]

const instant = (ms: number): string => `TIMESTAMPTZ '${new Date(ms).toISOString()}'`
const endMs = firstMs + days * dayMs
const between = (fromMs: number, toMs: number): string =>
  `"event_time">=${instant(fromMs)} AND "event_time"<${instant(toMs)}`

/** The conditions of what the page, the views and `search` ask. */
const queries: readonly { readonly name: string; readonly filters: readonly string[] }[] = [
  { name: 'last hour', filters: [between(endMs - hourMs, endMs)] },
  { name: 'an hour in June', filters: [between(firstMs + 160.4 * dayMs, firstMs + 160.4 * dayMs + hourMs)] },
  { name: 'a day', filters: [between(endMs - dayMs, endMs)] },
  {
    name: 'a day of a server',
    filters: [between(endMs - dayMs, endMs), `"server_name"='${nameOf(41)}'`],
  },
  {
    name: '30 days of a server',
    filters: [between(endMs - 30 * dayMs, endMs), `"server_name"='${nameOf(41)}'`],
  },
  { name: 'a year of a server', filters: [`"server_name"='${nameOf(41)}'`] },
]

interface Measured {
  readonly name: string
  readonly files: number
  readonly checkpointBytes: number
  readonly openCpuMs: number
  readonly queries: readonly { readonly files: number; readonly bytes: number; readonly planCpuMs: number }[]
}

/** Commits of the log that is made: so many files each. */
const filesPerCommit = 1_000

async function measureLayout(
  layout: Layout,
  {
    statistics,
    rounds,
    scratch,
  }: { readonly statistics: string; readonly rounds: number; readonly scratch: string },
): Promise<Measured> {
  const directory = join(scratch, 'table')
  await rm(scratch, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const storage = new LocalDeltaStorage(directory)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(scratch, 'spill') })
  try {
    const declaration = postgresLogs('bench.public.years')
    await storage.prepare()
    await createTable(
      { columns: declaration.columns, partitionColumns: layout.partitionColumns, tableName: 'years' },
      { storage, clock: systemClock, random: Math.random },
    )
    const ofDay = layout.ofDay()
    const placed =
      layout.ofYear?.() ??
      Array.from({ length: days }, (_, day) =>
        ofDay.map((one) => ({ ...one, fromMs: one.fromMs + day * dayMs, toMs: one.toMs + day * dayMs })),
      ).flat()
    const adds = placed.map((one, index) => addOf(one, layout, index, statistics))
    const { protocol, metaData } = (await loadState(storage, engine, { keepFiles: false }))!
    const context = { storage, engine, stagingDirectory: scratch }
    let version = 0
    let previous = -1
    for (let from = 0; from < adds.length; from += filesPerCommit) {
      version += 1
      await writeFile(
        join(directory, commitPath(version)),
        encodeActions(adds.slice(from, from + filesPerCommit).map((add) => ({ add }))),
      )
      // Each is built on the one before, as those of a run are.
      const plan = { version, previous, protocol, metaData, transactions: 0, domains: 0 }
      await writeCheckpoint(plan, context, Date.now())
      previous = version
    }
    const checkpointBytes = (await stat(join(directory, checkpointPath(version)))).size
    const openedMs: number[] = []
    let contents: TableContents | undefined
    for (let round = 0; round <= rounds; round += 1) {
      const started = process.cpuUsage()
      contents = contentsOf((await loadState(storage, engine, { keepFiles: true }))!)
      if (round > 0) openedMs.push(cpuMsSince(started))
    }
    if (contents?.files.length !== adds.length)
      throw new Error(`${layout.name}: ${contents?.files.length} files`)
    const asked = []
    for (const { filters } of queries) asked.push(await prune(engine, contents, filters, rounds))
    return {
      name: layout.name,
      files: adds.length,
      checkpointBytes,
      openCpuMs: median(openedMs),
      queries: asked,
    }
  } finally {
    await engine.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

async function prune(
  engine: EmbeddedEngine,
  contents: TableContents,
  filters: readonly string[],
  rounds: number,
): Promise<Measured['queries'][number]> {
  // As the engine's plan writes them: columns by their place.
  const placed = filters.map((filter) =>
    contents.columns.reduce((text, { name }, index) => text.replaceAll(`"${name}"`, `c${index}`), filter),
  )
  const tookMs: number[] = []
  let found: readonly LiveFile[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const started = process.cpuUsage()
    found = await matchingFiles(engine, contents, [{ filters: placed }])
    if (round > 0) tookMs.push(cpuMsSince(started))
  }
  return {
    files: found.length,
    bytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
    planCpuMs: median(tookMs),
  }
}

/** CPU time of all threads, which other work on the machine changes less than the time of day. */
function cpuMsSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started)
  return (user + system) / 1_000
}

interface Statistics {
  readonly minValues: Readonly<Record<string, unknown>>
  readonly maxValues: Readonly<Record<string, unknown>>
}

function addOf(one: Placed, { partitionColumns }: Layout, index: number, statistics: string): AddAction {
  const date = new Date(firstMs + one.fromMs).toISOString().slice(0, 10)
  const [first, last] = [nameOf(one.firstServer), nameOf(one.lastServer)]
  const values: Record<string, string> = { event_date: date, server_name: first }
  const partitionValues = Object.fromEntries(partitionColumns.map((name) => [name, values[name]!]))
  const parsed = JSON.parse(statistics) as Statistics
  const bounds = (of: Readonly<Record<string, unknown>>, ms: number, server: string) => {
    const all: Record<string, unknown> = {
      ...of,
      event_time: new Date(firstMs + ms).toISOString(),
      server_name: server,
      ...(partitionColumns.includes('event_date') ? {} : { event_date: date }),
    }
    for (const name of partitionColumns) delete all[name]
    return all
  }
  const folder = partitionColumns.map((name) => `${name}=${values[name]}/`).join('')
  return {
    path: `${folder}part-00000-${String(index).padStart(8, '0')}-4f6e-4a1b-9c3d-0123456789ab.zstd.parquet`,
    partitionValues,
    size: Math.round(one.bytes),
    modificationTime: firstMs + one.toMs,
    dataChange: true,
    stats: JSON.stringify({
      ...parsed,
      numRecords: Math.round(one.bytes / bytesPerRow),
      minValues: bounds(parsed.minValues, one.fromMs, first),
      maxValues: bounds(parsed.maxValues, one.toMs, last),
    }),
  }
}

/** The statistics of a file with generated records, which have bounds of all columns that usually have some. */
async function realStatistics(work: string, say: (text: string) => void): Promise<string> {
  const { root } = await makePageTable({ rows: 2_000, days: 1 }, work, say)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(work, 'spill') })
  try {
    const storage = new LocalDeltaStorage(join(root, 'bench/public/page'))
    const [file] = (await loadState(storage, engine, { keepFiles: true }))!.files!.values()
    return file!.stats!
  } finally {
    await engine.close()
  }
}

function report(results: readonly Measured[]): string {
  const size = (bytes: number): string =>
    bytes >= 1e12
      ? `${(bytes / 1e12).toFixed(1)} TB`
      : bytes >= 1e9
        ? `${(bytes / 1e9).toFixed(1)} GB`
        : `${(bytes / 1e6).toFixed(0)} MB`
  const count = (value: number): string => value.toLocaleString('en-US')
  const logs = markdownTable(
    ['layout', 'files', 'checkpoint', 'CPU of opening', 'CPU of planning'],
    results.map(({ name, files, checkpointBytes, openCpuMs, queries: asked }) => [
      name,
      count(files),
      size(checkpointBytes),
      `${count(Math.round(openCpuMs))} ms`,
      `${count(Math.round(median(asked.map(({ planCpuMs }) => planCpuMs))))} ms`,
    ]),
  )
  const reads = markdownTable(
    ['layout', ...queries.map(({ name }) => name)],
    results.map(({ name, queries: asked }) => [
      name,
      ...asked.map(({ files, bytes }) => `${count(files)}, ${size(bytes)}`),
    ]),
  )
  return `${logs}\n\n${reads}`
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '2' }, only: { type: 'string', default: '' } },
})
const work = join(projectDirectory, 'bench', '.work')
const say = (text: string): void => void process.stderr.write(`${text}\n`)
await mkdir(work, { recursive: true })
const statistics = await realStatistics(work, say)
const results: Measured[] = []
for (const layout of layouts.filter(({ name }) => name.includes(values.only))) {
  const scratch = join(work, 'scratch', 'years')
  results.push(await measureLayout(layout, { statistics, rounds: Number(values.rounds), scratch }))
  // After each layout, so that a later one that fails costs only itself.
  say(report(results))
}
process.stdout.write(`${report(results)}\n\n${JSON.stringify(machineFacts())}\n`)
