import assert from 'node:assert/strict'
import { watch } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assertLandedOnce, mirroredOffset } from './landed-once.ts'
import { LogGenerator } from './log-lines.ts'
import { seededRandom } from './seeded-random.ts'
import { openStorage, type TestStorage } from './storage.ts'
import { readTable } from './table-rows.ts'
import { TailraceProcess } from './tailrace-process.ts'
import { type TestProject, writeProject } from './test-project.ts'

export interface KillLoopOptions {
  readonly kills: number
  readonly seed: number
  /** An empty directory for the config, the state and the tables. */
  readonly directory: string
  /** No kill begins after so long, in milliseconds. Default: all are done. */
  readonly limitMs?: number
  /** Hears of each kill. */
  readonly onKill?: (kill: KillNote) => void
}

/** What one kill left. */
export interface KillNote {
  readonly number: number
  /** It came this many milliseconds after this step of a batch was seen. */
  readonly afterMs: number
  readonly step: string
  /** Batches that the process had told of as landed. */
  readonly batches: number
  /** Files in the staging directory: what the kill interrupted, and leftovers of earlier ones. */
  readonly leftovers: number
}

/** What a whole loop did. */
export interface KillReport {
  readonly kills: number
  /** Kills before the process had landed anything. */
  readonly killsBeforeFirstBatch: number
  /** Kills between a table's commit and its mirror in the offset file, as the next start found. */
  readonly killsBeforeMirror: number
  readonly leftovers: number
  readonly batches: number
  readonly rows: number
  readonly bytes: number
}

const pipelines = ['primary', 'replica'] as const
const blobOf = (pipeline: string) => `${pipeline}.json`
const script = fileURLToPath(new URL('./ingest-process.ts', import.meta.url))

/**
 * Steps of a batch that show in a directory: a kill comes a moment after one of them, so that every step is met
 * however fast or slow the machine is. `opening` is an instant of the time in which the tables are opened. The
 * commit comes up most often: it is where rows and offsets could come apart.
 */
const steps = ['opening', 'spool', 'encode', 'commit', 'commit', 'commit', 'mirror'] as const
type Step = (typeof steps)[number]

const openingMs = 700
/** A step's own work takes a few milliseconds. */
const afterStepMs = 10
/** A file shows more than once, so this is one batch or a few. */
const mostEvents = 4

/**
 * Kills a process with SIGKILL again and again while it lands two blobs that a writer keeps appending to, drains
 * what is left with `--once`, and asserts that each line is in its table exactly once.
 */
export async function killLoop(options: KillLoopOptions): Promise<KillReport> {
  const storage = await openStorage()
  try {
    return await loop(storage, options)
  } finally {
    await storage.stop()
  }
}

async function loop(
  storage: TestStorage,
  { kills, seed, directory, limitMs = Number.POSITIVE_INFINITY, onKill }: KillLoopOptions,
): Promise<KillReport> {
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: Object.fromEntries(pipelines.map((pipeline) => [pipeline, { blobs: blobOf(pipeline) }])),
    batch: { maxBytes: 64 * 1024, maxAgeMs: 50 },
  })
  for (const pipeline of pipelines) {
    await mkdir(project.stagingDirectory(pipeline), { recursive: true })
    await mkdir(logDirectory(project, pipeline), { recursive: true })
  }
  const deadline = Date.now() + limitMs
  const writing = new AbortController()
  const writers = pipelines.map((pipeline, index) =>
    write(storage, blobOf(pipeline), seed + index, writing.signal),
  )
  const report = { kills: 0, killsBeforeFirstBatch: 0, killsBeforeMirror: 0, leftovers: 0, batches: 0 }
  const random = seededRandom(seed)
  let next = new TailraceProcess([project.configPath], { script })
  try {
    while (report.kills < kills && Date.now() < deadline) {
      const current = next
      await current.until(() => current.stdout.includes('loaded'), 'it was loaded')
      // The one after it loads meanwhile, so that little time passes without one that works.
      next = new TailraceProcess([project.configPath], { script })
      const step = steps[random.between(0, steps.length - 1)]!
      const afterMs = random.between(0, step === 'opening' ? openingMs : afterStepMs)
      const pipeline = pipelines[random.between(0, 1)]!
      const shown = stepShows(project, pipeline, step, random.between(1, mostEvents))
      current.send('go')
      await Promise.race([shown, current.exited])
      await delay(afterMs)
      current.kill('SIGKILL')
      const end = await current.exited
      assert.deepEqual(
        end,
        { code: null, signal: 'SIGKILL' },
        `it ended by itself:\n${current.stderr.slice(-4_000)}`,
      )
      report.kills += 1
      const batches = landedBy(current)
      report.batches += batches
      if (batches === 0) report.killsBeforeFirstBatch += 1
      if (current.log.some(({ finding }) => finding === 'behind')) report.killsBeforeMirror += 1
      report.leftovers = await checkState(project)
      onKill?.({ number: report.kills, step, afterMs, batches, leftovers: report.leftovers })
    }
  } finally {
    next.kill('SIGKILL')
    await next.exited
    writing.abort()
    await Promise.all(writers)
  }
  return { ...report, ...(await drainAndCompare(storage, project)) }
}

/** Resolves when a step of a pipeline has shown in its directory for the n-th time from now on. */
function stepShows(project: TestProject, pipeline: string, step: Step, events: number): Promise<void> {
  if (step === 'opening') return Promise.resolve()
  const [directory, shows] = {
    spool: [project.stagingDirectory(pipeline), (name: string) => name.endsWith('.spool')] as const,
    encode: [project.stagingDirectory(pipeline), (name: string) => name.startsWith('encode-')] as const,
    commit: [logDirectory(project, pipeline), (name: string) => name.endsWith('.json')] as const,
    mirror: [project.stateDirectory, (name: string) => name.startsWith(`${pipeline}.offset`)] as const,
  }[step]
  return new Promise((resolve) => {
    let left = events
    const watcher = watch(directory, (_event, name) => {
      if (name === null || !shows(name)) return
      left -= 1
      if (left > 0) return
      watcher.close()
      resolve()
    })
  })
}

function logDirectory(project: TestProject, pipeline: string): string {
  return join(project.tableDirectory(pipeline), '_delta_log')
}

function landedBy(process: TailraceProcess): number {
  return process.log.filter(({ msg }) => msg === 'landed').length
}

/** Appends small pieces that end anywhere, inside a line or a character too, until the signal; then the rest. */
async function write(storage: TestStorage, blob: string, seed: number, signal: AbortSignal): Promise<void> {
  const random = seededRandom(seed)
  const generator = new LogGenerator(random)
  let pending = generator.lines(20)
  while (!signal.aborted) {
    pending = Buffer.concat([pending, generator.lines(random.between(1, 12))])
    const size = random.between(1, pending.length)
    await storage.append(blob, pending.subarray(0, size))
    pending = pending.subarray(size)
    await delay(random.between(5, 40), undefined, { signal }).catch(() => {})
  }
  await storage.append(blob, pending)
}

/** An offset file is whole at any instant; staging may hold leftovers. @returns how many */
async function checkState(project: TestProject): Promise<number> {
  let leftovers = 0
  for (const pipeline of pipelines) {
    const text = await readFile(project.offsetPath(pipeline), 'utf8').catch(() => undefined)
    if (text !== undefined) JSON.parse(text)
    leftovers += (await readdir(project.stagingDirectory(pipeline)).catch(() => [])).length
  }
  return leftovers
}

async function drainAndCompare(
  storage: TestStorage,
  { configPath, tableDirectory, offsetPath }: TestProject,
): Promise<{ rows: number; bytes: number }> {
  const drained = new TailraceProcess(['start', '--once', '--config', configPath])
  assert.deepEqual(await drained.exited, { code: 0, signal: null }, drained.stderr.slice(-4_000))
  const verified = new TailraceProcess(['verify', '--json', '--config', configPath])
  assert.deepEqual(await verified.exited, { code: 0, signal: null }, verified.stdout + verified.stderr)
  const verdict = JSON.parse(verified.stdout) as { blobs: { blob: string; offset: number }[] }

  const totals = { rows: 0, bytes: 0 }
  for (const pipeline of pipelines) {
    const blob = blobOf(pipeline)
    const content = await storage.content(blob)
    const rows = await readTable(tableDirectory(pipeline))
    const end = assertLandedOnce(blob, content, rows)
    assert.equal(end, content.length)
    assert.equal(await mirroredOffset(offsetPath(pipeline), blob), end)
    assert.equal(verdict.blobs.find((known) => known.blob.endsWith(blob))?.offset, end)
    totals.rows += rows.length
    totals.bytes += end
  }
  return totals
}
