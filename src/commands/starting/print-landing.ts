import { choosePipelinesAndRuns, chooseTables } from '../../config/choose-pipelines.ts'
import { noteLanding } from '../../run/trial-landing.ts'
import type { CommandContext } from '../command.ts'
import { usualRecord } from '../usual-record.ts'

/**
 * Prints every statement and request of the first landing of each pipeline, in order, and sends none of them.
 *
 * @throws USAGE when no table is in a workspace
 */
export async function printLanding(
  { config, clock, logger, print }: CommandContext,
  only: string | undefined,
): Promise<number> {
  const pipelines = new Map(choosePipelinesAndRuns(config, only))
  const bytes = Buffer.from(`${JSON.stringify(usualRecord)}\n`)
  for (const { target, ability } of chooseTables(config, only, (sink) => sink.setup)) {
    const { name } = target
    const steps: string[] = []
    await noteLanding(
      { name, pipeline: pipelines.get(name)!, disk: config.disk, bytes, clock, logger },
      ability,
      (step) => steps.push(step),
    )
    await print(`-- Pipeline ${name}: its first landing\n\n`)
    for (const step of steps) await print(`${step}\n\n`)
  }
  return 0
}
