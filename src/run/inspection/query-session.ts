import type { QuerySession, SessionRequest } from '../../sinks/sink.ts'
import type { ChosenEngine } from './choose-engine.ts'

/** Opens a session of a chosen engine; one that keeps nothing between statements runs each by itself. */
export function openQuerySession({ ability, targets }: ChosenEngine, request: SessionRequest): QuerySession {
  const session = ability.openSession?.(targets, request)
  return (
    session ?? {
      run: (statement) => ability.run(targets, { ...request, ...statement }),
      close: async () => {},
    }
  )
}
