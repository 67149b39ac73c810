import type { FaultKind } from './fault-plan.ts'
import { runLaneSchedule } from './lane-schedule.ts'
import { runTailSchedule } from './tail-schedule.ts'

const runners = { tail: runTailSchedule, lanes: runLaneSchedule } as const

/** What a schedule is run through: one tailer after the other, or the lanes of a listing by a process that is killed. */
export type Runner = keyof typeof runners

/** What this process is told to do. */
export interface SchedulesShare {
  readonly runner: Runner
  readonly seeds: readonly number[]
  readonly kinds: readonly FaultKind[]
}

/** What it tells when it has done it: the failed schedules in the order of their seeds. */
export interface SchedulesReport {
  readonly schedules: number
  readonly requests: number
  readonly failures: readonly string[]
}

/** More failures than these say nothing new. */
const mostFailures = 2

process.once('message', (share: SchedulesShare) => {
  runShare(share).then((report) => {
    process.send?.(report)
    process.disconnect()
  })
})
// Whoever asked is gone: nobody wants the rest.
process.once('disconnect', () => process.exit())

async function runShare({ runner, seeds, kinds }: SchedulesShare): Promise<SchedulesReport> {
  let schedules = 0
  let requests = 0
  const failures: string[] = []
  for (const seed of seeds) {
    if (failures.length === mostFailures) break
    schedules += 1
    try {
      requests += (await runners[runner](seed, kinds)).length
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { schedules, requests, failures }
}
