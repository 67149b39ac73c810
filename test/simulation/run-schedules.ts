import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { FaultKind } from '../support/blob-service/fault-plan.ts'
import { builtScript } from '../support/built-script.ts'
import type { Runner, SchedulesReport, SchedulesShare } from './schedules-process.ts'

const mostProcesses = 2
const script = fileURLToPath(new URL('./schedules-process.ts', import.meta.url))

/**
 * Runs schedules in processes of their own, the first seeds first.
 *
 * The test runner follows every promise of its process, which more than doubles the time of a schedule.
 *
 * @returns how many ran, and what failed, with seeds and journals
 */
export async function runSchedules(
  runner: Runner,
  seeds: readonly number[],
  kinds: readonly FaultKind[] = [],
): Promise<SchedulesReport> {
  const processes = Math.min(mostProcesses, availableParallelism(), seeds.length)
  const reports = await Promise.all(
    Array.from({ length: processes }, (_, share) =>
      runShare({
        runner,
        seeds: seeds.filter((_seed, index) => index % processes === share),
        kinds,
      }),
    ),
  )
  return {
    schedules: reports.reduce((sum, { schedules }) => sum + schedules, 0),
    calls: reports.reduce((sum, { calls }) => sum + calls, 0),
    commits: reports.reduce((sum, { commits }) => sum + commits, 0),
    lives: reports.reduce((sum, { lives }) => sum + lives, 0),
    failures: reports.flatMap(({ failures }) => failures),
  }
}

function runShare(share: SchedulesShare): Promise<SchedulesReport> {
  const args = builtScript(script)
  const child = fork(args.at(-1)!, { execArgv: args.slice(0, -1) })
  child.send(share)
  return new Promise((resolve, reject) => {
    child.once('message', (report) => resolve(report as SchedulesReport))
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(new Error(`A process of schedules ended with ${code} and no report.`)),
    )
  })
}
