import { TailraceError } from '../errors.ts'
import { copied, firstLine, storageFailure } from './failure.ts'

/**
 * Translates an error of the storage SDK. Any other error is a bug of this program and stays unchanged.
 *
 * @param what names the request for the message, such as `reading _delta_log/…`
 * @param nowMs milliseconds since the epoch
 */
export function azureTableError(error: unknown, what: string, nowMs: number): unknown {
  if (error instanceof TailraceError) return error
  const failure = storageFailure(error, nowMs)
  if (failure === undefined) return error
  const { kind, summary, status, service, retryAfterMs, requestIds } = failure
  // A copy without the request: its URL may hold a SAS.
  const details = { context: { status, service, retryAfterMs, ...requestIds }, cause: copied(error) }
  switch (kind) {
    case 'denied':
      return new TailraceError(
        'TABLE_DENIED',
        `Storage refused ${what} (${summary}): the identity needs the role Storage Blob Data Contributor, or a SAS with the permissions to read, list, write and delete.`,
        details,
      )
    case 'missing':
      return new TailraceError(
        'TABLE_UNSUPPORTED',
        `The container of the table does not exist (${summary}, ${what}): create it first.`,
        details,
      )
    case 'passing':
      return new TailraceError('TABLE_UNAVAILABLE', `No answer while ${what}: ${summary}.`, details)
    case 'refused':
      return new TailraceError('TABLE_UNSUPPORTED', `Storage answered ${summary} while ${what}.`, details)
  }
}

/**
 * Translates a failure to get a credential. An unknown failure counts as transient.
 *
 * @param nowMs milliseconds since the epoch
 */
export function credentialError(error: unknown, nowMs: number): unknown {
  if (error instanceof TailraceError) {
    const { message, context } = error
    if (error.code === 'SOURCE_DENIED')
      return new TailraceError('TABLE_DENIED', message, { context, cause: error })
    return error
  }
  const failure = storageFailure(error, nowMs)
  if (failure !== undefined && failure.kind !== 'passing') {
    return azureTableError(error, 'the credential', nowMs)
  }
  const reason = error instanceof Error ? firstLine(error.message) : 'unknown'
  return new TailraceError('TABLE_UNAVAILABLE', `No credential for the table's storage: ${reason}.`, {
    context: { status: failure?.status, retryAfterMs: failure?.retryAfterMs, ...failure?.requestIds },
    cause: copied(error),
  })
}
