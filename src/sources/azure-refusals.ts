import { type AzureRequest, type CredentialKind, described } from './azure-request.ts'

/** What is missing, and what to do about it: one sentence each. */
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

/** Codes of other statuses than 401 and 403 that a credential is the reason of. */
export function isRefusal(
  status: number | undefined,
  service: string | undefined,
  credential: CredentialKind,
): boolean {
  if (status === 401 || status === 403) return true
  if (service === 'PublicAccessNotPermitted') return true
  if (service === 'InvalidAuthenticationInfo') return true
  // What may not be seen without a credential is told as if it were not there.
  return service === 'ResourceNotFound' && credential === 'nothing'
}

/** Whether the SAS itself names the permission that the request needs. */
function isPermitted({ sas, kind }: AzureRequest): boolean {
  return sas?.permissions?.includes(kind === 'read' ? 'r' : 'l') === true
}

/** What the SAS says of itself is known better than any code of a refusal. */
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

/** Says when a SAS ended. */
export function expired(instantMs: number): string {
  return `the SAS expired at ${new Date(instantMs).toISOString()}`
}
