import assert from 'node:assert/strict'
import { watch } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { eventually } from './eventually.ts'
import { assertLandedOnce, mirroredOffset } from './landed-once.ts'
import { LogGenerator } from './log-lines.ts'
import type { TestStorage } from './storage.ts'
import type { LandedRow } from './table-rows.ts'
import { type LogLine, TailraceProcess } from './tailrace-process.ts'
import type { TestProject } from './test-project.ts'

/** Where the processes land lines, and how their steps are seen. */
export interface KillTarget {
  readonly storage: TestStorage
  /** Pipelines `primary` and `replica`, each of the blob that is called like it. */
  readonly project: TestProject
  /** Of `ingest-process.ts`. */
  readonly args: readonly string[]
  /**
   * Steps of a batch that show in a directory: a kill comes a moment after one of them, so that every step is met
   * however fast or slow the machine is. What is here twice comes up more often.
   */
  readonly steps: readonly string[]
  /** The longest such moment, in milliseconds. */
  readonly afterStepMs: number
  /** The directory in which a step of a pipeline shows, and by which files in it. */
  shownIn(
    pipeline: string,
    step: string,
  ): { readonly directory: string; readonly shows: (name: string) => boolean }
  /** Whether a start says that the kill before it came between rows and offsets. */
  isBetween(line: LogLine): boolean
  /** Resolves when nothing goes on any more that killed processes began. */
  settled(): Promise<void>
  /** All rows of a pipeline's table in the order of their places. */
  rows(pipeline: string): Promise<readonly LandedRow[]>
}

export interface KillLoopOptions {
  readonly kills: number
  readonly seed: number
  readonly target: KillTarget
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
  /** Kills between rows and the offset file, as the next start found. */
  readonly killsBeforeMirror: number
  readonly leftovers: number
  readonly batches: number
  readonly rows: number
  readonly bytes: number
}

/** The pipelines of a kill loop's project. */
export const pipelines = ['primary', 'replica'] as const
const script = fileURLToPath(new URL('./ingest-process.ts', import.meta.url))

/** The blob of a pipeline. */
export function blobOf(pipeline: string): string {
  return `${pipeline}.json`
}

/** A kill at any instant of the time in which the tables are opened, in milliseconds. */
const openingMs = 700
/** A file shows more than once, so this is one batch or a few. */
const mostEvents = 4

/**
 * Kills a process with SIGKILL again and again while it lands two blobs that a writer keeps appending to, drains
 * what is left with `--once`, and asserts that each line is in its table exactly once.
 */
export async function killLoop({ kills, seed, target, onKill }: KillLoopOptions): Promise<KillReport> {
  const { storage, project, args, steps, afterStepMs } = target
  for (const pipeline of pipelines) {
    await mkdir(project.stagingDirectory(pipeline), { recursive: true })
    for (const step of steps) await mkdir(target.shownIn(pipeline, step).directory, { recursive: true })
  }
  const writing = new AbortController()
  const writers = pipelines.map((pipeline, index) =>
    write(storage, blobOf(pipeline), seed + index, writing.signal),
  )
  const report = { kills: 0, killsBeforeFirstBatch: 0, killsBeforeMirror: 0, leftovers: 0, batches: 0 }
  const random = seededRandom(seed)
  let next = new TailraceProcess(args, { script })
  let current = next
  try {
    while (report.kills < kills) {
      current = next
      await current.until(() => current.stdout.includes('loaded'), 'it was loaded')
      // The one after it loads meanwhile, so that little time passes without one that works.
      next = new TailraceProcess(args, { script })
      const step = ['opening', ...steps][random.between(0, steps.length)]!
      const afterMs = random.between(0, step === 'opening' ? openingMs : afterStepMs)
      const pipeline = pipelines[random.between(0, 1)]!
      const shown = stepShows(target, pipeline, step, random.between(1, mostEvents))
      current.send('go')
      let hasShown = false
      void Promise.race([shown, current.exited]).then(() => {
        hasShown = true
      })
      await eventually(async () => hasShown, `${step} of ${pipeline}`).catch((error: unknown) => {
        throw new Error(`The process stands still:\n${current.stderr.slice(-4_000)}`, { cause: error })
      })
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
      if (current.log.some((line) => target.isBetween(line))) report.killsBeforeMirror += 1
      report.leftovers = await checkState(project)
      onKill?.({ number: report.kills, step, afterMs, batches, leftovers: report.leftovers })
    }
  } finally {
    for (const left of [current, next]) {
      left.kill('SIGKILL')
      await left.exited
    }
    writing.abort()
    await Promise.all(writers)
  }
  return { ...report, ...(await drainAndCompare(target)) }
}

/** Resolves when a step of a pipeline has shown in its directory for the n-th time from now on. */
function stepShows(target: KillTarget, pipeline: string, step: string, events: number): Promise<void> {
  if (step === 'opening') return Promise.resolve()
  const { directory, shows } = target.shownIn(pipeline, step)
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

async function drainAndCompare(target: KillTarget): Promise<{ rows: number; bytes: number }> {
  const { configPath, offsetPath } = target.project
  await target.settled()
  const drained = new TailraceProcess(['start', '--once', '--config', configPath])
  assert.deepEqual(await drained.exited, { code: 0, signal: null }, drained.stderr.slice(-4_000))
  const verified = new TailraceProcess(['verify', '--json', '--config', configPath])
  assert.deepEqual(await verified.exited, { code: 0, signal: null }, verified.stdout + verified.stderr)
  const verdict = JSON.parse(verified.stdout) as { blobs: { blob: string; offset: number }[] }

  const totals = { rows: 0, bytes: 0 }
  for (const pipeline of pipelines) {
    const blob = blobOf(pipeline)
    const content = await target.storage.content(blob)
    const rows = await target.rows(pipeline)
    const end = assertLandedOnce(blob, content, rows)
    assert.equal(end, content.length)
    assert.equal(await mirroredOffset(offsetPath(pipeline), blob), end)
    assert.equal(verdict.blobs.find((known) => known.blob.endsWith(blob))?.offset, end)
    totals.rows += rows.length
    totals.bytes += end
  }
  return totals
}
