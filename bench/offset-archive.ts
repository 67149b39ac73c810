/**
 * `npx tsx bench/offset-archive.ts --days 365 --every 10`: lands the offsets of 1,000 servers, one blob an hour each, day by day in
 * virtual time, archives old ones, and prints what processes take that open the table, each of which does one thing more.
 *
 * `--written --days 365` lets the engine write the files of the archive at once, as many and as large as archiving day by
 * day leaves them, and lands the offsets of the last two days.
 *
 * Blobs have no rows here, because only offsets are measured.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { Clock } from '../src/clock.ts'
import { limitHeapGrowth } from '../src/commands/starting/heap-growth.ts'
import { maxSoughtBlobs } from '../src/offsets/archived-offsets.ts'
import { OffsetFile } from '../src/offsets/offset-file.ts'
import type { GenerationMark, Span } from '../src/records.ts'
import {
  type ArchiveFile,
  archiveFolder,
  encodeManifest,
  manifestPath,
} from '../src/sinks/delta/archive/archive-manifest.ts'
import { ParquetArchiveFiles } from '../src/sinks/delta/archive/parquet-archive-files.ts'
import { DeltaCommitter } from '../src/sinks/delta/committer.ts'
import { loadState } from '../src/sinks/delta/log/load.ts'
import { archiveAppId } from '../src/sinks/delta/log/offsets.ts'
import { archiveOffsets, archiveRules } from '../src/sinks/delta/maintenance/archive-offsets.ts'
import { deltaOptions } from '../src/sinks/delta/options.ts'
import { commitPath, encodeActions } from '../src/sinks/delta/protocol/actions.ts'
import { withArchiveFormat } from '../src/sinks/delta/protocol/features.ts'
import { LocalDeltaStorage } from '../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine, sqlString } from '../src/sinks/encoding/engine.ts'
import { fingerprintOf, formatFingerprint } from '../src/sources/recognition/fingerprint.ts'
import { postgresLogs } from '../src/tables/postgres/logs.ts'

const dayMs = 86_400_000
const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '365' },
    servers: { type: 'string', default: '1000' },
    every: { type: 'string', default: '1' },
    open: { type: 'string' },
    work: { type: 'string', default: 'nothing' },
    written: { type: 'boolean', default: false },
  },
})
const servers = Number(values.servers)
const days = Number(values.days)
/** Days between two archives, except in the last ten days: with more than one, a year is built sooner. */
const every = Number(values.every)
/** So far ahead that the log's cleanup takes every file for an old one. */
const startMs = Math.floor(Date.now() / dayMs) * dayMs + 60 * dayMs
let nowMs = startMs
const clock: Clock = {
  now: () => nowMs,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
  after: () => () => {},
}
const nothingEncoded = { files: [], rows: 0, rejected: 0, partial: 0 }

function blobAt(server: number, hourMs: number): string {
  const [date = '', time = ''] = new Date(hourMs).toISOString().split('T')
  const [year, month, day] = date.split('-')
  const id = `/SUBSCRIPTIONS/7B6C2F0E-6F4B-4F0B-9D64-3A0B4E6F2C11/RESOURCEGROUPS/FLEET/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/PG-${String(server).padStart(4, '0')}`
  return `insights-logs-postgresqllogs/resourceId=${id}/y=${year}/m=${month}/d=${day}/h=${time.slice(0, 2)}/m=00/PT1H.json`
}

function spansOf(day: number): Span[] {
  return Array.from({ length: 24 * servers }, (_, index) => {
    const hourMs = startMs + day * dayMs + (index % 24) * 3_600_000
    const generation = new Date(hourMs).toISOString().replace(/[-:]|\.\d+/g, '')
    const source = { blob: blobAt(Math.floor(index / 24), hourMs), generation }
    return { ...source, start: 0, end: 1_000_000 + ((index * 7_919) % 90_000_000) }
  })
}

function markOf({ blob, generation }: Pick<Span, 'blob' | 'generation'>): GenerationMark {
  const head = formatFingerprint(fingerprintOf(0, Buffer.from(`head ${blob}`)))
  const tail = formatFingerprint(fingerprintOf(1_000_000, Buffer.from(`tail ${blob}`)))
  return { blob, generation, createdAt: generation, head, tail, closing: undefined }
}

async function open(table: string) {
  const scratch = await mkdtemp(join(tmpdir(), 'tailrace-archive-open-'))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(scratch, 'spill') })
  const declaration = postgresLogs('bench.logs.year')
  const committer = new DeltaCommitter({
    storage: new LocalDeltaStorage(table),
    engine,
    columns: declaration.columns,
    partitionColumns: declaration.partitionColumns.map(({ column }) => column),
    tableName: 'year',
    stagingDirectory: scratch,
    clock,
    onCheckpointFailed: (error) => {
      throw error
    },
  })
  const begunMs = performance.now()
  await committer.open()
  const openMs = performance.now() - begunMs
  const close = async (): Promise<void> => {
    await committer.close()
    await engine.close()
    await rm(scratch, { recursive: true, force: true })
  }
  return { committer, engine, scratch, openMs, close }
}

/** What a process does after it has opened the table: one thing alone, so that its peak of memory is known. */
const works = ['nothing', 'find one', 'find listed', 'find of all servers', 'write the offset file'] as const

type Work = (typeof works)[number]

/** What one process takes that opens the table and does one thing, in this process. */
async function measureOpening(table: string, day: number, work: Work): Promise<void> {
  limitHeapGrowth()
  const { committer, scratch, openMs, close } = await open(table)
  const openRss = process.memoryUsage.rss()
  const offsets = committer.landed()
  const opened = { resident: offsets.blobCount, archived: offsets.archivedCount, openMs: Math.round(openMs) }
  const done = work === 'write the offset file' ? await writeOffsetFile() : await find(namesOf(work, day))
  console.log(JSON.stringify({ ...opened, openRssMB: megabytes(openRss), ...done, peakRssMB: peakMB() }))
  await close()

  async function writeOffsetFile() {
    const marks = new Map(Array.from(offsets, (one) => [one.blob, markOf(one)]))
    const file = new OffsetFile({ stateDirectory: scratch, pipeline: 'year', table: 'year' })
    const peakBeforeMB = peakMB()
    for (let time = 0; time < 5; time += 1)
      await file.write(offsets, { markOf: ({ blob }) => marks.get(blob) })
    const { size } = await stat(file.path)
    return { peakBeforeMB, offsetFileMB: Math.round(size / 1e5) / 10 }
  }

  async function find(rounds: readonly (readonly string[])[]) {
    const cpu = process.cpuUsage()
    for (const names of rounds) {
      const found = await committer.archive.find(names)
      if (offsets.archivedCount > 0 && found.length !== names.length)
        throw new Error(`${found.length} offsets were found.`)
    }
    const { user, system } = process.cpuUsage(cpu)
    const cpuMs = Math.round((user + system) / 1_000 / Math.max(1, rounds.length))
    return { lookUps: rounds.length, names: rounds[0]?.length ?? 0, cpuMs }
  }
}

/** @returns the blobs of each look-up */
function namesOf(work: Work, day: number): readonly (readonly string[])[] {
  // Hours of several servers, in the order of a listing of everything that ever landed.
  const hours = Math.max(1, day - 3) * 24
  const listed = (first: number, count: number): string[] =>
    Array.from({ length: Math.min(count, hours * servers - first) }, (_, index) =>
      blobAt(Math.floor((first + index) / hours), startMs + ((first + index) % hours) * 3_600_000),
    )
  const rounds = (count: number, names: (round: number) => string[]) =>
    Array.from({ length: count }, (_, round) => names(round))
  if (work === 'find one') return rounds(20, (round) => listed(round * 1_001, 1))
  if (work === 'find listed') return rounds(10, (round) => listed(round * maxSoughtBlobs, maxSoughtBlobs))
  if (work !== 'find of all servers') return []
  return rounds(3, (round) =>
    Array.from({ length: servers }, (_, server) => blobAt(server, startMs + round * 3_600_000)),
  )
}

function peakMB(): number {
  return megabytes(process.resourceUsage().maxRSS * 1024)
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6)
}

async function sizeOf(
  folder: string,
  pattern: RegExp,
): Promise<{ count: number; bytes: number; last: number }> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => pattern.test(name)).sort()
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  return { count: names.length, bytes: sizes.reduce((sum, size) => sum + size, 0), last: sizes.at(-1) ?? 0 }
}

/** @returns the results of `measureOpening`, each of a new process with the settings of `pnpm start` */
async function measureInProcesses(table: string, day: number): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {}
  for (const work of works) {
    const options = ['--open', table, '--work', work, '--days', String(day), '--servers', String(servers)]
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...process.execArgv, '--max-semi-space-size=4', import.meta.filename, ...options],
      { env: { ...process.env, MALLOC_ARENA_MAX: '2' } },
    )
    results[work] = JSON.parse(stdout)
  }
  return results
}

/** Offsets of one file of an archive, at most. */
const fileOffsets = 1_000_000

async function writeYear(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-archive-year-'))
  const table = join(directory, 'table')
  await mkdir(table)
  const { committer, engine, scratch, close } = await open(table)
  const storage = new LocalDeltaStorage(table)
  const archivedDays = days - 2
  const daysOfFile = Math.max(1, Math.floor(fileOffsets / (24 * servers)))
  const files: ArchiveFile[] = []
  const own = await EmbeddedEngine.open({ memoryMiB: 1_000, temporaryDirectory: join(scratch, 'own') })
  try {
    const archive = new ParquetArchiveFiles({ storage, engine: own, stagingDirectory: scratch })
    for (let day = 0; day < archivedDays; day += daysOfFile) {
      const until = Math.min(day + daysOfFile, archivedDays)
      const written = join(scratch, 'written.parquet')
      await own.run(`COPY (${offsetsSql(day, until)}) TO ${sqlString(written)} (FORMAT parquet)`)
      await storage.putFile(written, `${archiveFolder}/written.parquet`)
      // As archiving does it with the files of former days.
      const parts = [
        { name: 'written.parquet', offsets: 1, bytes: 1, firstBlob: '', lastBlob: '', lastInstant: '' },
      ]
      files.push(await archive.merge(parts))
      await archive.keepOnly([])
      await rm(join(table, archiveFolder, 'written.parquet'))
      process.stderr.write(`${until} days\n`)
    }
    const instantMs = startMs + archivedDays * dayMs
    await storage.putIfAbsent(manifestPath(instantMs), encodeManifest({ files }))
    const { version, metaData } = (await loadState(storage, engine, { keepFiles: false }))!
    const configuration = withArchiveFormat(metaData.configuration)
    const txn = { appId: archiveAppId, version: instantMs, lastUpdated: instantMs }
    await storage.putIfAbsent(
      commitPath(version + 1),
      encodeActions([{ metaData: { ...metaData, configuration } }, { txn }]),
    )
    await committer.refresh()
    for (let hour = archivedDays * 24; hour < days * 24; hour += 1) {
      nowMs = startMs + hour * 3_600_000
      const spans = spansOf(Math.floor(hour / 24)).filter((_, index) => index % 24 === hour % 24)
      await committer.land(spans, nothingEncoded)
    }
    await close()
    const archived = await sizeOf(join(table, archiveFolder), /\.parquet$/)
    const opened = await measureInProcesses(table, days)
    console.log(
      JSON.stringify({ archiveFiles: archived.count, archiveMB: Math.round(archived.bytes / 1e6), opened }),
    )
  } finally {
    await own.close()
    await engine.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** The offsets of some days, as an archive has them. */
function offsetsSql(fromDay: number, untilDay: number): string {
  const [prefix = ''] = blobAt(0, startMs).split('0000/y=')
  return `SELECT blob, strftime(hour, '%Y%m%dT%H%M%SZ') AS generation,
      (1_000_000 + hash(blob) % 90_000_000)::BIGINT AS landed_to, NULL::VARCHAR AS created_at,
      '0+256:' || sha256('head' || blob)[:16] AS head, '1000000+64:' || sha256('tail' || blob)[:16] AS tail,
      NULL::BIGINT AS closing
    FROM (
      SELECT hour, printf('%s%04d/', ${sqlString(prefix)}, server) || strftime(hour, 'y=%Y/m=%m/d=%d/h=%H/m=00/PT1H.json') AS blob
      FROM range(${servers}) servers(server),
        (SELECT make_timestamp((${startMs} + hours * 3_600_000) * 1_000) AS hour
          FROM range(${fromDay * 24}, ${untilDay * 24}) hours(hours))
    )`
}

async function buildYear(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-archive-year-'))
  const table = join(directory, 'table')
  await mkdir(table)
  const { committer, engine, scratch, close } = await open(table)
  const storage = new LocalDeltaStorage(table)
  const { archiveOffsets: rules } = deltaOptions.parse({ kind: 'delta', root: table })
  const limits = archiveRules({ archiveOffsets: rules })
  if (limits === undefined) throw new Error('Archiving is turned off by default.')
  let archivingMs = 0
  let longestMs = 0
  try {
    for (let day = 0; day < days; day += 1) {
      nowMs = startMs + day * dayMs + dayMs / 2
      await committer.land(spansOf(day), nothingEncoded)
      if (day % every !== 0 && day < days - 10) continue
      const begunMs = performance.now()
      const own = await EmbeddedEngine.open({
        threads: 1,
        memoryMiB: 160,
        temporaryDirectory: join(scratch, 'own'),
      })
      const files = new ParquetArchiveFiles({ storage, engine: own, stagingDirectory: scratch })
      await archiveOffsets({ ...limits, storage, engine: own, files, clock, random: Math.random, markOf })
      await own.close()
      const tookMs = performance.now() - begunMs
      archivingMs += tookMs
      longestMs = Math.max(longestMs, tookMs)
      await committer.refresh()
      await committer.archive.forget(() => false)
      const isQuarter = Math.floor((4 * (day + 1)) / days) > Math.floor((4 * (day + 1 - every)) / days)
      if (!isQuarter && day + 1 !== days && day !== 3) continue
      await removeUnused(table)
      const checkpoints = await sizeOf(join(table, '_delta_log'), /checkpoint\.parquet$/)
      const archive = await sizeOf(join(table, archiveFolder), /\.parquet$/)
      console.log(
        JSON.stringify({
          day: day + 1,
          landed: (day + 1) * servers * 24,
          checkpointMB: Math.round(checkpoints.last / 1e5) / 10,
          archiveFiles: archive.count,
          archiveMB: Math.round(archive.bytes / 1e5) / 10,
          archivingMs: Math.round(archivingMs),
          longestArchivingMs: Math.round(longestMs),
          writerPeakRssMB: Math.round((process.resourceUsage().maxRSS * 1024) / 1e6),
          opened: await measureInProcesses(table, day + 1),
        }),
      )
    }
  } finally {
    await close()
    await engine.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** As vacuum does after its retention. */
async function removeUnused(table: string): Promise<void> {
  const folder = join(table, archiveFolder)
  const names = (await readdir(folder).catch(() => [])).sort()
  const newest = names.filter((name) => name.endsWith('.json')).at(-1)
  if (newest === undefined) return
  const { files } = JSON.parse(await readFile(join(folder, newest), 'utf8')) as {
    files: { name: string }[]
  }
  const needed = new Set([newest, ...files.map(({ name }) => name)])
  for (const name of names) if (!needed.has(name)) await rm(join(folder, name))
}

if (values.open !== undefined) await measureOpening(values.open, days, values.work as Work)
else if (values.written) await writeYear()
else await buildYear()
