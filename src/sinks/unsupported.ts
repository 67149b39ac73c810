import { TailraceError } from '../errors.ts'
import type { Unsupported } from './sink.ts'

/** @returns whether a kind of sink lacks the ability that a command needs */
export function isUnsupported(answer: object | string): answer is Unsupported {
  return typeof answer === 'object' && 'because' in answer
}

/** The error of a command that the tables of some pipelines do not support. */
export function unsupportedError(pipelines: readonly string[], { because }: Unsupported): TailraceError {
  return new TailraceError('USAGE', `The table of ${pipelines.join(', ')} ${because}.`)
}
