import type { WorldChoice, WorldFault, WorldPlan } from './plan.ts'
import { runWorld, type WorldReport } from './world.ts'

export interface ShrinkOptions {
  /** Worlds that are run at most. */
  readonly maxRuns: number
  /** Runs a world. Default `runWorld`. */
  readonly run?: (choice: WorldChoice) => Promise<Pick<WorldReport, 'failure'>>
  /** Hears of each smaller world that fails, too. */
  readonly onSmaller?: (choice: WorldChoice) => void
}

/**
 * Makes a failing world smaller as long as it fails: fewer steps, fewer kinds of faults, fewer blobs and processes.
 *
 * @returns the smallest choice that was found, and its failure
 */
export async function shrink(
  failed: Pick<WorldReport, 'plan' | 'calls' | 'failure'>,
  { maxRuns, run = runWorld, onSmaller = () => {} }: ShrinkOptions,
): Promise<{ readonly choice: WorldChoice; readonly failure: Error | undefined }> {
  const { plan, calls } = failed
  let best: { choice: WorldChoice; failure: Error | undefined } = {
    choice: choiceOf({ ...plan, steps: Math.min(plan.steps, calls) }),
    failure: failed.failure,
  }
  let runs = 0
  const tries = async (smaller: Partial<WorldChoice>): Promise<boolean> => {
    if (runs === maxRuns) return false
    runs += 1
    const choice = { ...best.choice, ...smaller }
    const { failure } = await run(choice)
    if (failure === undefined) return false
    best = { choice, failure }
    onSmaller(choice)
    return true
  }
  for (let before = ''; before !== JSON.stringify(best.choice) && runs < maxRuns; ) {
    before = JSON.stringify(best.choice)
    const { processes = [], blobs = [], faults = [] } = best.choice
    for (const process of processes) await tries({ processes: without(best.choice.processes, process) })
    for (const blob of blobs) await tries({ blobs: without(best.choice.blobs, blob) })
    await withFewerSteps(best.choice.steps ?? 0, (steps) => tries({ steps }))
    await withFewerFaults(faults, (fewer) => tries({ faults: fewer }))
  }
  return best
}

function choiceOf({ seed, sink, steps, faults, blobs, processes }: WorldPlan): Required<WorldChoice> {
  return {
    seed,
    sink,
    steps,
    faults,
    blobs: blobs.map(({ id }) => id),
    processes: processes.map(({ id }) => id),
  }
}

function without<T>(all: readonly T[] | undefined, one: T): readonly T[] {
  return (all ?? []).filter((other) => other !== one)
}

/** The later steps first: what fails early needs none of them. */
async function withFewerSteps(steps: number, fails: (steps: number) => Promise<boolean>): Promise<void> {
  for (let least = 0, most = steps; least < most; ) {
    const middle = Math.floor((least + most) / 2)
    if (await fails(middle)) most = middle
    else least = middle + 1
  }
}

/** Halves first, then one by one. */
async function withFewerFaults(
  faults: readonly WorldFault[],
  fails: (faults: readonly WorldFault[]) => Promise<boolean>,
): Promise<void> {
  let left = faults
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < left.length; ) {
      const fewer = [...left.slice(0, from), ...left.slice(from + size)]
      if (await fails(fewer)) left = fewer
      else from += size
    }
  }
}
