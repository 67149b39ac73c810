import {
  type ConfigOfTables,
  choosePipelinesAndRuns,
  chooseTables,
  unsupportedError,
} from '../../config/choose-pipelines.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { SinkQuery, SinkTarget } from '../../sinks/sink.ts'

/** The engine of a query, and the tables that it can name. */
export interface ChosenEngine {
  readonly ability: SinkQuery
  readonly targets: readonly SinkTarget[]
}

/**
 * Chooses the engine that runs a statement. Tables of other engines are logged.
 *
 * @throws USAGE when the tables belong to several engines, none of them the embedded one
 */
export function chooseEngine(
  { config, logger }: { readonly config: ConfigOfTables; readonly logger: Logger },
  only: string | undefined,
): ChosenEngine {
  const tables = chooseTables(config, only, (sink) => sink.query)
  const engines = new Map<string | undefined, typeof tables>()
  for (const table of tables) {
    const engine = table.ability.engineOf(table.target)
    engines.set(engine, [...(engines.get(engine) ?? []), table])
  }
  const [chosen] = engines.size === 1 ? engines.values() : [engines.get(undefined)]
  const [first] = chosen ?? []
  if (chosen === undefined || first === undefined) {
    const names = tables.map(({ target }) => target.name)
    throw unsupportedError(names, {
      because: 'is not queried by one engine: select one pipeline with --pipeline',
    })
  }
  const names = new Set(chosen.map(({ target }) => target.name))
  const left = choosePipelinesAndRuns(config, only).flatMap(([name]) => (names.has(name) ? [] : [name]))
  if (left.length > 0) {
    logger.info({ pipelines: left }, 'tables of other engines are not queried: select one with --pipeline')
  }
  return { ability: first.ability, targets: chosen.map(({ target }) => target) }
}
