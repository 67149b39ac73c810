import { type ErrorCode, errors } from '../../errors.ts'
import { redactSecrets } from '../../reporting/redact.ts'
import type { PipelinePulse } from '../pipeline-pulse.ts'
import type { SupervisedPipeline } from '../supervised-pipeline.ts'

/** The questions that an orchestrator asks of a process. */
export const probes = ['livez', 'readyz', 'startupz'] as const
export type Probe = (typeof probes)[number]

/** The limits after which a pipeline that runs is not ready. */
export interface HealthLimits {
  /** Time without an answer of storage to a request, in milliseconds. */
  readonly maxSilentMs: number
  /** Time in which rows wait and none is committed, in milliseconds; the age of a batch comes on top. */
  readonly maxStallMs: number
}

/** Causes of a process or pipeline that is not well, beside the code of a failure. docs/operations.md has a row for each. */
export const healthCodes = {
  PIPELINE_STARTING: 'Wait: the table is being opened. If it takes long, see the log for attempts that fail.',
  PIPELINE_STOPPED: 'Start the process again, unless it was stopped or has drained its blobs.',
  STORAGE_UNANSWERED:
    'Check the network, DNS, firewall and status of the storage account; reading continues when it answers.',
  DISK_HELD: 'Free space on the volumes of the state directory and of the table; the stream waits.',
  COMMITS_STALLED: "Check the table's storage or warehouse, and the log for commits that fail.",
  STOP_OVERDUE: 'End the process: what has not landed is read again by the next start.',
} as const
export type HealthCode = keyof typeof healthCodes

/** One reason why a process is not well. */
export interface HealthReason {
  /** Absent when it concerns the process as a whole. */
  readonly pipeline?: string | undefined
  /** One of `healthCodes`, or the error code of a failed pipeline. */
  readonly code: string
  /** An ISO instant. */
  readonly since: string
  readonly reason: string
  /** What to do. */
  readonly action: string
}

/** The parts of a pipeline by which its health is judged. */
export type JudgedPipeline = Pick<
  SupervisedPipeline,
  | 'name'
  | 'state'
  | 'stateSinceMs'
  | 'failure'
  | 'storageUnansweredSinceMs'
  | 'storageFailure'
  | 'lastLanded'
  | 'batchAgeMs'
>

/**
 * @param pulse of the pipeline at this instant
 * @returns why a pipeline does not land what storage has; empty when it does
 */
export function unreadyReasons(
  pipeline: JudgedPipeline,
  pulse: PipelinePulse | undefined,
  { maxSilentMs, maxStallMs }: HealthLimits,
  nowMs: number,
): readonly HealthReason[] {
  const { name, state, stateSinceMs, failure } = pipeline
  const reason = (code: HealthCode, sinceMs: number, text: string): HealthReason =>
    healthReason(code, sinceMs, text, name)
  if (failure !== undefined) {
    const { code, reason: why, failures, sinceMs, untilMs } = failure
    const next = untilMs === undefined ? 'it is not started again' : `started again at ${isoTime(untilMs)}`
    const action = errors[code as ErrorCode]?.hint ?? errors.UNEXPECTED.hint
    const text = redactSecrets(`failed (${failures} in a row, ${next}): ${why}`)
    return [{ pipeline: name, code, since: isoTime(sinceMs), reason: text, action }]
  }
  if (state !== 'running') {
    return state === 'opening'
      ? [reason('PIPELINE_STARTING', stateSinceMs, 'the table is being opened')]
      : [reason('PIPELINE_STOPPED', stateSinceMs, `the pipeline is ${state}`)]
  }
  const reasons: HealthReason[] = []
  const silentSinceMs = pipeline.storageUnansweredSinceMs
  if (silentSinceMs !== undefined && nowMs - silentSinceMs >= maxSilentMs) {
    const { storageFailure } = pipeline
    const failed = storageFailure === undefined ? '' : `; the last request failed: ${storageFailure}`
    const text = `storage has not answered for ${secondsText(nowMs - silentSinceMs)}${failed}`
    reasons.push(reason('STORAGE_UNANSWERED', silentSinceMs, redactSecrets(text)))
  }
  const { heldSinceMs, freeBytes, minFreeBytes = 0, waitingRows, commitFailure } = pulse ?? {}
  if (heldSinceMs !== undefined) {
    const free = freeBytes === undefined ? '' : `: ${freeBytes} bytes are free, ${minFreeBytes} are required`
    reasons.push(reason('DISK_HELD', heldSinceMs, `the stream is held because disk space is short${free}`))
  }
  const sinceMs = uncommittedSinceMs(pipeline, pulse)
  if (sinceMs !== undefined && nowMs - sinceMs >= maxStallMs + pipeline.batchAgeMs) {
    const failed = commitFailure === undefined ? '' : `; the last attempt failed: ${commitFailure}`
    const text = `${waitingRows} rows wait and none was committed for ${secondsText(nowMs - sinceMs)}${failed}`
    reasons.push(reason('COMMITS_STALLED', sinceMs, redactSecrets(text)))
  }
  return reasons
}

/** @returns since when rows wait and none was committed, in milliseconds since the epoch; undefined while none waits */
export function uncommittedSinceMs(
  { lastLanded }: Pick<JudgedPipeline, 'lastLanded'>,
  pulse: PipelinePulse | undefined,
): number | undefined {
  const waitingSinceMs = pulse?.waitingSinceMs
  if (waitingSinceMs === undefined) return undefined
  return Math.max(waitingSinceMs, lastLanded?.atMs ?? waitingSinceMs)
}

/** @returns a reason of a code, with what to do about it */
export function healthReason(
  code: HealthCode,
  sinceMs: number,
  reason: string,
  pipeline?: string,
): HealthReason {
  return { pipeline, code, since: isoTime(sinceMs), reason, action: healthCodes[code] }
}

function isoTime(instantMs: number): string {
  return new Date(instantMs).toISOString()
}

function secondsText(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
