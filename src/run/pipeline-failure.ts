import { join } from 'node:path'
import { isTailraceError } from '../errors.ts'
import { StatusFile } from '../offsets/status-file.ts'
import { redactSecrets } from '../reporting/redact.ts'
import { z } from '../zod.ts'

const schema = z.object({
  code: z.string(),
  reason: z.string(),
  failures: z.number(),
  sinceMs: z.number(),
  untilMs: z.number().optional(),
})

/** The reason why a pipeline does not run. */
export interface PipelineFailure {
  /** The error's code, or the name of an error without one. */
  readonly code: string
  readonly reason: string
  /** Failures in a row, this one included. */
  readonly failures: number
  readonly sinceMs: number
  /** When it is started again, in milliseconds since the epoch; undefined when it is not, or its process has ended. */
  readonly untilMs?: number | undefined
}

/** The last failure, for `tailrace status` of another process: `<state>/<pipeline>.failure.json`, removed when it runs again. */
export class FailureFile extends StatusFile<PipelineFailure> {
  constructor(stateDirectory: string, pipeline: string) {
    super(join(stateDirectory, `${pipeline}.failure.json`), (json) => schema.parse(json))
  }
}

/** @returns code and message in one text */
export function failureLine(error: unknown): string {
  const { code, reason } = describeFailure(error)
  return `${code}: ${reason}`
}

/** @returns the code and the message without secrets; of a foreign error only its name, because its message may hold log content */
export function describeFailure(error: unknown): Pick<PipelineFailure, 'code' | 'reason'> {
  if (isTailraceError(error)) return { code: error.code, reason: redactSecrets(error.message) }
  const name = error instanceof Error ? error.name : 'Error'
  return { code: name, reason: 'an error without a code: see the log' }
}
