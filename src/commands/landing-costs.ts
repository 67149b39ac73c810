import { isUnsupported } from '../config/choose-pipelines.ts'
import { sinkTarget } from '../config/resolved.ts'
import type { SetupOf, SinkTarget } from '../sinks/sink.ts'
import type { LandingCost, LandingLoad } from '../sinks/sink-setup.ts'
import type { CommandContext } from './command.ts'

/**
 * Estimates for each system that is paid by the time it is awake, such as a SQL warehouse, what a day of landing costs.
 *
 * @param bytesPerDay by pipeline; those without an entry are left out
 */
export async function landingCosts(
  {
    config: { pipelines, stateDirectory },
    clock,
    logger,
  }: Pick<CommandContext, 'config' | 'clock' | 'logger'>,
  bytesPerDay: ReadonlyMap<string, number>,
  signal?: AbortSignal | undefined,
): Promise<readonly LandingCost[]> {
  const systems = new Map<string, { readonly setup: SetupOf; readonly loads: LandingLoad<SinkTarget>[] }>()
  for (const [name, pipeline] of Object.entries(pipelines)) {
    const rate = bytesPerDay.get(name)
    const { setup } = pipeline.sinkKind
    if (rate === undefined || isUnsupported(setup)) continue
    const target = sinkTarget(name, pipeline)
    const key = setup.systemOf(target)
    const system = systems.get(key) ?? { setup, loads: [] }
    systems.set(key, system)
    system.loads.push({ target, batch: pipeline.batch, bytesPerDay: rate })
  }
  return Promise.all(
    [...systems.values()].map(({ setup, loads }) =>
      setup.cost({ target: loads[0]!.target, stateDirectory, signal, clock, logger }, loads),
    ),
  )
}

/** @returns a sentence about an estimate, with its assumptions */
export function costSentence({
  system,
  bytesPerDay,
  landings,
  statements,
  awakeHours,
  dollars,
  assumptions,
}: LandingCost): string {
  const arriving = `${(bytesPerDay / 1e6).toFixed(1)} MB of logs arrived in the last day`
  if (bytesPerDay === 0)
    return `${system}: no logs arrived in the last day, so nothing is sent and no warehouse wakes`
  return `${system}: ${arriving}; in a day about ${landings} landings with ${statements} statements keep the warehouse awake for ${awakeHours.toFixed(1)} h: $${dollars.toFixed(2)}, or $${(dollars * 30).toFixed(0)} in 30 days. Assumed: ${assumptions}`
}
