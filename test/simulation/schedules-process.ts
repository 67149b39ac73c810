import type { FaultKind } from '../support/blob-service/fault-plan.ts'
import { runTailSchedule } from '../support/blob-service/tail-schedule.ts'
import { commandOf } from './plan.ts'
import { shrink } from './shrink.ts'
import { runWorld } from './world.ts'

/** What a seed is run through: one tailer after the other over a blob, or a whole world. */
export type Runner = 'tail' | 'world'

/** What this process is told to do. */
export interface SchedulesShare {
  readonly runner: Runner
  readonly seeds: readonly number[]
  /** Of tails: the faults to choose from. */
  readonly kinds: readonly FaultKind[]
}

/** What it tells when it has done it: the failed schedules in the order of their seeds. */
export interface SchedulesReport {
  readonly schedules: number
  /** Requests of tails; of worlds all calls to storage, table and files. */
  readonly calls: number
  readonly commits: number
  /** Starts of processes. */
  readonly lives: number
  readonly failures: readonly string[]
}

/** More failures than these say nothing new. */
const mostFailures = 2
/** Worlds that are run to make a failing one smaller. */
const maxShrinkRuns = 200
const lastLines = 60

process.once('message', (share: SchedulesShare) => {
  runShare(share).then((report) => {
    process.send?.(report)
    process.disconnect()
  })
})
// Whoever asked is gone: nobody wants the rest.
process.once('disconnect', () => process.exit())

async function runShare({ runner, seeds, kinds }: SchedulesShare): Promise<SchedulesReport> {
  const sum = { schedules: 0, calls: 0, commits: 0, lives: 0 }
  const failures: string[] = []
  for (const seed of seeds) {
    if (failures.length === mostFailures) break
    sum.schedules += 1
    try {
      const { calls, commits, lives } = runner === 'tail' ? await tail(seed, kinds) : await world(seed)
      sum.calls += calls
      sum.commits += commits
      sum.lives += lives
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { ...sum, failures }
}

type Counts = Pick<SchedulesReport, 'calls' | 'commits' | 'lives'>

async function tail(seed: number, kinds: readonly FaultKind[]): Promise<Counts> {
  return { calls: (await runTailSchedule(seed, kinds)).length, commits: 0, lives: 0 }
}

/** @throws with the smallest world that fails, its command and the end of its history */
async function world(seed: number): Promise<Counts> {
  const report = await runWorld({ seed })
  if (report.failure === undefined) return report
  const { choice, failure } = await shrink(report, { maxRuns: maxShrinkRuns })
  const { history } = await runWorld(choice, { logs: true })
  throw new Error(
    [
      `${failure?.message}\n${commandOf(choice)} repeats it, made smaller from seed ${seed}:`,
      ...history.lines.slice(-lastLines),
    ].join('\n'),
  )
}
