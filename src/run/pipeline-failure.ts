import { join } from 'node:path'
import { z } from 'zod'
import { isTailraceError } from '../errors.ts'
import { StatusFile } from '../offsets/status-file.ts'
import { redactSecrets } from '../reporting/redact.ts'

const schema = z.object({
  code: z.string(),
  reason: z.string(),
  failures: z.number(),
  sinceMs: z.number(),
  untilMs: z.number().optional(),
})

/** Why a pipeline does not run. */
export interface PipelineFailure {
  /** The error's code, or the name of an error without one. */
  readonly code: string
  readonly reason: string
  /** Times in a row that it failed. */
  readonly failures: number
  readonly sinceMs: number
  /** When it is started again; missing when its process has ended or gave it up. */
  readonly untilMs?: number | undefined
}

/** Why a pipeline does not run, for other processes: `<state>/<pipeline>.failure.json`, gone once it runs again. */
export class FailureFile extends StatusFile<PipelineFailure> {
  constructor(stateDirectory: string, pipeline: string) {
    super(join(stateDirectory, `${pipeline}.failure.json`), (json) => schema.parse(json))
  }
}

/** @returns code and reason of an error, without secrets and, of an error that is not Tailrace's own, without content */
export function describeFailure(error: unknown): Pick<PipelineFailure, 'code' | 'reason'> {
  if (isTailraceError(error)) return { code: error.code, reason: redactSecrets(error.message) }
  const name = error instanceof Error ? error.name : 'Error'
  return { code: name, reason: 'an error without a code: see the log' }
}
