import type { QuerySession, SessionOptions } from '../../sinks/query-session.ts'
import type { ChosenEngine } from './choose-engine.ts'

/** Statements over the same tables, one after the other, by any engine. */
export interface Statements extends Pick<QuerySession, 'close'> {
  run(statement: Parameters<QuerySession['run']>[0]): Promise<unknown>
}

/** Opens a session of a chosen engine; one that keeps nothing between statements runs each by itself. */
export function openStatements({ ability, targets }: ChosenEngine, options: SessionOptions): Statements {
  const session = ability.openSession?.(targets, options)
  if (session !== undefined) return session
  const { unsafe = false, moment = {}, clock, logger } = options
  return {
    run: (statement) => ability.run(targets, { unsafe, moment, clock, logger, ...statement }),
    close: async () => {},
  }
}
