import { chooseTables } from '../config/choose-pipelines.ts'
import type { SetupOf, SinkTarget } from '../sinks/sink.ts'
import type { CommandContext } from './command.ts'

export interface SetupOptions {
  readonly pipeline?: string | undefined
  /** The identity that gets the rights. Default: the one that the config names. */
  readonly principal?: string | undefined
}

/**
 * Prints the commands and statements by which an administrator prepares each workspace of the config.
 *
 * @throws USAGE when no table is in a workspace
 */
export async function printSetup(
  { config, print }: CommandContext,
  { pipeline, principal }: SetupOptions,
): Promise<number> {
  const systems = new Map<string, { readonly setup: SetupOf; readonly targets: SinkTarget[] }>()
  for (const { target, ability } of chooseTables(config, pipeline, (sink) => sink.setup)) {
    const key = ability.systemOf(target)
    const system = systems.get(key) ?? { setup: ability, targets: [] }
    systems.set(key, system)
    system.targets.push(target)
  }
  for (const { setup, targets } of systems.values()) await print(await setup.script(targets, principal))
  return 0
}
