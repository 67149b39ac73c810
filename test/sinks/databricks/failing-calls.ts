import type { TailraceError } from '../../../src/errors.ts'
import type { Step } from './committer-fixture.ts'

/** The end of a process, at one of its calls to the outside. */
export class Death extends Error {}

/** Ends a process before or after the call number `at`, counted from 1. */
export function dyingAt(
  at: number,
  side: 'before' | 'after',
): { readonly step: Step; readonly calls: string[] } {
  const calls: string[] = []
  let isDead = false
  const step: Step = async (name, call) => {
    if (isDead) throw new Death()
    calls.push(name)
    if (calls.length !== at) return call()
    isDead = true
    if (side === 'after') await call()
    throw new Death()
  }
  return { step, calls }
}

/** An instant at which a process may end. */
export interface Ending {
  /** Number of the call, counted from 1. */
  readonly at: number
  readonly side: 'before' | 'after'
  readonly what: string
}

/** All instants that differ to the outside: the end after a call is that before the next one. */
export function endingsOf(calls: readonly string[]): readonly Ending[] {
  return [
    { at: 1, side: 'before', what: `before ${calls[0]}` },
    ...calls.map(
      (name, index) => ({ at: index + 1, side: 'after', what: `after ${name} (${index + 1})` }) as const,
    ),
  ]
}

/** Lets the call number `at`, counted from 1, fail once, having been made or not. */
export function failingAt(
  at: number,
  side: 'before' | 'after',
  error: TailraceError,
): { readonly step: Step; readonly calls: string[] } {
  const calls: string[] = []
  const step: Step = async (name, call) => {
    calls.push(name)
    if (calls.length !== at) return call()
    if (side === 'after') await call()
    throw error
  }
  return { step, calls }
}
