import type { TestContext } from 'node:test'
import { type ProcessEnd, type SpawnOptions, TailraceProcess } from './tailrace-process.ts'

/** Starts `tailrace` and leaves it running; it is killed with the test at the latest. */
export function startTailrace(
  t: TestContext,
  args: readonly string[],
  options: SpawnOptions = {},
): TailraceProcess {
  const started = new TailraceProcess(args, options)
  t.after(async () => {
    started.kill('SIGKILL')
    await started.exited
  })
  return started
}

/** What a command that ran to its end left. */
export interface TailraceRun extends ProcessEnd {
  readonly stdout: string
  readonly stderr: string
  readonly process: TailraceProcess
}

/** Runs `tailrace` to its end. */
export async function runTailrace(
  t: TestContext,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<TailraceRun> {
  const started = startTailrace(t, args, options)
  const end = await started.exited
  return { ...end, stdout: started.stdout, stderr: started.stderr, process: started }
}
