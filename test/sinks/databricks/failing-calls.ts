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
