import {
  copied,
  credentialErrorNames,
  firstLine,
  isOfService,
  isRestError,
  passingStatuses,
  retryAfterMs,
  serviceCode,
} from '../azure/sdk-error.ts'
import { WrongAnswer } from '../azure/wrong-answer.ts'
import { type ErrorContext, TailraceError } from '../errors.ts'
import { isRefusal, refusal } from './azure-refusals.ts'
import { type AzureRequest, described } from './azure-request.ts'

/** Connection faults by their code, where more can be said than the code. */
const connectionFaults: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host: the account name may be wrong, or the name service does not know it yet',
  EAI_AGAIN: 'the name service does not answer',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'no way to the host',
  ENETUNREACH: 'no way to the network',
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is another host's: is the URL right?",
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: "the certificate is not valid yet: is this machine's clock right?",
  EPROTO: 'no TLS is spoken there: is the URL right?',
}

const untrusted = /SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY_LEAF|GET_ISSUER)/

/**
 * Translates an error of the storage SDK, once, at the port.
 *
 * The SDK's error is not kept: it holds the request, whose URL may be a SAS. Its cause is a copy of what can be told.
 */
export function translateAzureError(error: unknown, request: AzureRequest): TailraceError {
  if (error instanceof TailraceError) return error
  const rest = isRestError(error) ? error : undefined
  const status = rest?.statusCode
  const service = serviceCode(rest)
  const what = described(request)
  const options = {
    context: {
      status,
      service,
      requestId: rest?.response?.headers.get('x-ms-request-id') || undefined,
      retryAfterMs: retryAfterMs(rest, request.nowMs),
    },
    cause: copied(error),
  }

  if (error instanceof Error && credentialErrorNames.has(error.name))
    return credentialError(error, request, options)
  if (status !== undefined && isRefusal(status, service, request.credential)) {
    return request.refusalMayPass === true
      ? new TailraceError(
          'SOURCE_UNAVAILABLE',
          `${refusal(status, service, request)} It was granted before, so it is asked for again.`,
          options,
        )
      : new TailraceError('SOURCE_DENIED', refusal(status, service, request), options)
  }
  if (error instanceof WrongAnswer)
    return new TailraceError(
      'SOURCE_UNAVAILABLE',
      `No usable answer while ${what}: ${error.message}.`,
      options,
    )
  if (status === 404 && rest !== undefined && isOfService(rest)) {
    const missing =
      service === 'ContainerNotFound'
        ? `There is no container ${request.container} (yet) in this account, or it has another name: ${what}.`
        : `Not found while ${what} (${service ?? status}).`
    return new TailraceError('SOURCE_MISSING', missing, options)
  }
  // Nothing here sends If-Match, so a condition that does not hold is not of our making.
  const isPassing = status === undefined || passingStatuses.has(status) || status === 412
  // Below 400 it is no error of storage, and a 404 without a code of storage is none either. What else there is may be a
  // mistake of the configuration, unless storage had answered before.
  const isStrange = !isPassing && (status < 400 || status === 404 || request.wasAdmitted)
  if (isPassing || (isStrange && !isArchived(service))) {
    const fault = status === undefined ? connectionFault(error) : [status, service].filter(Boolean).join(' ')
    return new TailraceError('SOURCE_UNAVAILABLE', `No answer while ${what}: ${fault}.`, options)
  }
  if (isArchived(service)) {
    const remedy =
      service === 'BlobArchived'
        ? 'rehydrate it to the hot or cool tier'
        : 'it is being rehydrated, which takes hours'
    return new TailraceError(
      'SOURCE_UNSUPPORTED',
      `${request.container}/${request.name} is in the archive tier: ${remedy}; start again after that.`,
      options,
    )
  }
  return new TailraceError(
    'SOURCE_UNSUPPORTED',
    `Storage answered ${[status, service].filter(Boolean).join(' ')} while ${what}.`,
    options,
  )
}

function isArchived(service: string | undefined): boolean {
  return service === 'BlobArchived' || service === 'BlobBeingRehydrated'
}

function credentialError(
  error: Error,
  request: AzureRequest,
  options: { readonly context: ErrorContext; readonly cause: Error },
): TailraceError {
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined
  const refused =
    error.name === 'AuthenticationError' && status !== undefined && status >= 400 && status < 500
  // An identity that was there before has not gone: what gives out its tokens does not answer for now.
  if ((request.wasAdmitted && !refused) || (status !== undefined && passingStatuses.has(status))) {
    return new TailraceError(
      'SOURCE_UNAVAILABLE',
      `No new token for ${described(request)} (${error.name}).`,
      options,
    )
  }
  const why = refused
    ? "the identity's secret, certificate or federation was refused"
    : 'no identity was found: set one up (a managed or workload identity, the AZURE_* variables of a service principal, or az login), or use a SAS'
  return new TailraceError(
    'SOURCE_DENIED',
    `No usable credential for ${described(request)} (${error.name}): ${why}.`,
    options,
  )
}

function connectionFault(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const told = firstLine(error instanceof Error ? error.message : String(error))
  const known = untrusted.test(code)
    ? 'the certificate is not one that this machine trusts: name its authority in NODE_EXTRA_CA_CERTS'
    : connectionFaults[code]
  return known === undefined ? told : `${known} (${told})`
}
