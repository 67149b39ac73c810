import type { ContainerClient } from '@azure/storage-blob'
import { type ErrorContext, TailraceError } from '../errors.ts'
import {
  copied,
  credentialErrorNames,
  firstLine,
  isOfService,
  isRestError,
  passingStatuses,
  requestedPauseMs,
  requestIdsOf,
  serviceCode,
  WrongAnswer,
} from './failure.ts'
import { expired } from './sas-url.ts'

/** Explanations of connection faults, by the code of the fault. */
const connectionFaults: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host: the account name may be wrong, or DNS does not know it yet',
  EAI_AGAIN: 'DNS does not answer',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is another host's: is the URL right?",
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: "the certificate is not valid yet: is this machine's clock right?",
  EPROTO: 'the server does not use TLS: is the URL right?',
}

const untrusted = /SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY_LEAF|GET_ISSUER)/

/**
 * Translates an error of the storage SDK. Above the reader, nobody sees the SDK's own errors.
 *
 * The SDK's error is not kept: it holds the request, whose URL may be a SAS. The cause is a copy without it.
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
      ...requestIdsOf(error),
      retryAfterMs: requestedPauseMs(rest, request.nowMs),
    },
    cause: copied(error),
  }

  if (error instanceof Error && credentialErrorNames.has(error.name))
    return credentialError(error, request, options)
  if (status !== undefined && isRefusal(status, service, request.credential)) {
    return request.refusalMayPass === true
      ? new TailraceError(
          'SOURCE_UNAVAILABLE',
          `${refusal(status, service, request)} It was granted before, so it is retried.`,
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
  // 412 is retried: no request here sends If-Match, so something in between did.
  const isPassing = status === undefined || passingStatuses.has(status) || status === 412
  // A status below 400, or a 404 without an error code, does not come from storage but from something in between. Any other
  // unknown status is taken for a mistake in the configuration, unless this credential has worked before.
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
  // An identity that worked before still exists: its token service does not answer at the moment.
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
  const message = firstLine(error instanceof Error ? error.message : String(error))
  const known = untrusted.test(code)
    ? 'the certificate is not one that this machine trusts: name its authority in NODE_EXTRA_CA_CERTS'
    : connectionFaults[code]
  return known === undefined ? message : `${known} (${message})`
}

/** Says in one sentence why a request was refused and what to do about it. */
type Remedy = (request: AzureRequest) => string

const lacksRight: Remedy = (request) => {
  const { credential, kind, container } = request
  if (credential === 'identity') return lacksRole(request)
  const right = kind === 'read' ? 'read (r)' : 'list (l)'
  const instead = kind === 'list' ? '; a fixed blob name is read without listing' : ''
  return `the SAS lacks the permission to ${right} on the container ${container}${instead}`
}

const lacksRole: Remedy = ({ container }) =>
  `grant the identity the role Storage Blob Data Reader on the container ${container} or its account (a new grant can take some minutes to count)`

const wrongKey = "the account's key is not, or no longer, this one"

const badSignature: Remedy = ({ credential, sas }) => {
  if (credential === 'key') return `${wrongKey}, or this machine's clock is wrong`
  if (credential === 'identity') return 'the token is not for this account or its tenant, or it was revoked'
  const ended = sas?.expiresAtMs === undefined ? 'has expired or was revoked' : 'was revoked'
  return `the SAS ${ended}, its signature does not fit (was the key rotated?), or this machine's clock is wrong`
}

const anonymous: Remedy = () =>
  'the request had no credential: set a SAS URL, a connection string or an account'

/** Service codes: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes */
const remedies: Readonly<Record<string, Remedy>> = {
  AuthorizationPermissionMismatch: lacksRight,
  InsufficientAccountPermissions: lacksRight,
  AuthorizationFailure: (request) => {
    const network = `the account's network rules do not allow this machine`
    if (request.credential === 'identity') return `${network}, or ${lacksRole(request)}`
    // The emulator has no other code for a signature that does not fit.
    if (request.credential === 'key') return `${wrongKey}, or ${network}`
    return `${network}, or ${isPermitted(request) ? 'the signature of the SAS does not fit' : lacksRight(request)}`
  },
  AuthenticationFailed: badSignature,
  InvalidAuthenticationInfo: badSignature,
  AuthorizationServiceMismatch: () => 'the SAS is not for the blob service: it needs ss=b',
  AuthorizationResourceTypeMismatch: () =>
    'the SAS is not for these resources: it needs srt=co, o to read blobs and c to list them',
  AuthorizationProtocolMismatch: () => 'the SAS is for https only: use an https URL',
  AuthorizationSourceIPMismatch: () =>
    "the SAS is not for this machine's address: renew it without sip=, or with the address that storage sees",
  KeyBasedAuthenticationNotPermitted: () =>
    "the account does not allow keys, nor a SAS signed with one: use an identity (kind 'account') or a user delegation SAS",
  NoAuthenticationInformation: anonymous,
  PublicAccessNotPermitted: anonymous,
  ResourceNotFound: anonymous,
  AccountIsDisabled: () => 'the account is disabled: its subscription needs attention',
  KeyVaultEncryptionKeyNotFound: () => "the account's encryption key is gone from its key vault",
  KeyVaultAccessTokenCannotBeAcquired: () => 'the account cannot get at its encryption key in the key vault',
}

/** Whether an answer refuses the credential: 401, 403, and some codes that come with other statuses. */
export function isRefusal(
  status: number | undefined,
  service: string | undefined,
  credential: CredentialKind,
): boolean {
  if (status === 401 || status === 403) return true
  if (service === 'PublicAccessNotPermitted') return true
  if (service === 'InvalidAuthenticationInfo') return true
  // To a request without a credential, storage reports a private resource as missing.
  return service === 'ResourceNotFound' && credential === 'nothing'
}

/** Whether the SAS itself names the permission that the request needs. */
function isPermitted({ sas, kind }: AzureRequest): boolean {
  return sas?.permissions?.includes(kind === 'read' ? 'r' : 'l') === true
}

/** The remedy that the terms in the SAS itself show; they are more precise than the code of the refusal. */
function termsRemedy(request: AzureRequest): Remedy | undefined {
  const { sas, nowMs } = request
  if (sas?.startsAtMs !== undefined && sas.startsAtMs > nowMs) {
    const { startsAtMs } = sas
    return () =>
      `the SAS is not valid before ${new Date(startsAtMs).toISOString()}; by this machine's clock it is ${new Date(nowMs).toISOString()}`
  }
  if (sas?.expiresAtMs !== undefined && sas.expiresAtMs <= nowMs) {
    const { expiresAtMs } = sas
    return () => expired(expiresAtMs)
  }
  return sas?.permissions === undefined || isPermitted(request) ? undefined : lacksRight
}

/** Says which request was refused, with which code, and what to do about it. */
export function refusal(status: number, service: string | undefined, request: AzureRequest): string {
  const remedy = termsRemedy(request) ?? remedies[service ?? '']
  const code = service === undefined ? `${status}` : `${status} ${service}`
  return `Storage refused ${described(request)} (${code})${remedy === undefined ? '' : `: ${remedy(request)}`}.`
}

/** The kind of credential that a client uses. */
export type CredentialKind = 'identity' | 'sas' | 'key' | 'nothing'

/** The terms written in a SAS; others may be in a stored access policy of the container. */
export interface SasTerms {
  readonly startsAtMs: number | undefined
  readonly expiresAtMs: number | undefined
  /** Letters, such as `rl`. */
  readonly permissions: string | undefined
}

/** The facts about a request that its errors mention. */
export interface AzureRequest {
  readonly kind: 'read' | 'list'
  readonly container: string
  /** The blob's name or the listing's prefix. */
  readonly name: string
  readonly credential: CredentialKind
  /** The terms of the SAS in use; undefined for other credentials. */
  readonly sas?: SasTerms | undefined
  readonly nowMs: number
  /** Whether storage has granted any request of this reader before. */
  readonly wasAdmitted: boolean
  /** Whether a refusal is to be retried, because requests of this kind were granted before. Default false. */
  readonly refusalMayPass?: boolean | undefined
}

/** Names a request for a message, such as `reading logs/a.json`. */
export function described({ kind, container, name }: AzureRequest): string {
  return `${kind === 'read' ? 'reading' : 'listing'} ${container}/${name}`
}

/** Judged by the credential's shape: a caller's client may come from the SDK's other build, where `instanceof` fails. */
export function credentialOf({ credential, url }: ContainerClient): CredentialKind {
  if ('getToken' in credential) return 'identity'
  if ('accountName' in credential) return 'key'
  return /[?&]sig=/.test(url) ? 'sas' : 'nothing'
}

/** Reads `st`, `se` and `sp` of a SAS: https://learn.microsoft.com/rest/api/storageservices/create-service-sas */
export function sasTermsOf(client: ContainerClient): SasTerms | undefined {
  if (credentialOf(client) !== 'sas') return undefined
  const { searchParams } = new URL(client.url)
  const instant = (name: string): number | undefined => {
    const value = Date.parse(searchParams.get(name) ?? '')
    return Number.isNaN(value) ? undefined : value
  }
  return {
    startsAtMs: instant('st'),
    expiresAtMs: instant('se'),
    permissions: searchParams.get('sp') ?? undefined,
  }
}
