import type { FaultKind } from './fault-plan.ts'
import { runTailSchedule } from './tail-schedule.ts'

/** What this process is told to do. */
export interface SchedulesShare {
  readonly seeds: readonly number[]
  readonly kinds: readonly FaultKind[]
  /** No schedule begins after so long, in milliseconds. */
  readonly limitMs: number
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

async function runShare({ seeds, kinds, limitMs }: SchedulesShare): Promise<SchedulesReport> {
  const endMs = performance.now() + limitMs
  let schedules = 0
  let requests = 0
  const failures: string[] = []
  for (const seed of seeds) {
    if (performance.now() > endMs || failures.length === mostFailures) break
    schedules += 1
    try {
      requests += (await runTailSchedule(seed, kinds)).length
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { schedules, requests, failures }
}
