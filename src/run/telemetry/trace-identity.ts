import { randomBytes } from 'node:crypto'

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The ids of the trace of a batch and of its first span. */
export interface TraceIdentity {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
}

/**
 * Derives the ids of a batch's trace from the batch's id. So the log records with that id are part of the trace, and no
 * trace id has to be passed to where they are written.
 *
 * @param batch a UUID; any other text gives random ids
 */
export function traceIdentity(batch: string): TraceIdentity {
  if (!uuid.test(batch)) return { traceId: randomBytes(16).toString('hex'), spanId: randomSpanId() }
  const traceId = batch.replaceAll('-', '')
  return { traceId, spanId: traceId.slice(16) }
}

export function randomSpanId(): string {
  return randomBytes(8).toString('hex')
}
