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

const badSignature: Remedy = ({ credential, sasExpiresAtMs, nowMs }) => {
  if (sasExpiresAtMs !== undefined && sasExpiresAtMs <= nowMs) return expired(sasExpiresAtMs)
  if (credential === 'key')
    return "the account's key is not, or no longer, this one, or this machine's clock is wrong"
  if (credential === 'identity') return 'the token is not for this account or its tenant, or it was revoked'
  return "the SAS has expired or was revoked, its signature does not fit (was the key rotated?), or this machine's clock is wrong"
}

const anonymous: Remedy = () =>
  'the request had no credential: set a SAS URL, a connection string or an account'

/** Service codes: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes */
const remedies: Readonly<Record<string, Remedy>> = {
  AuthorizationPermissionMismatch: lacksRight,
  InsufficientAccountPermissions: lacksRight,
  AuthorizationFailure: (request) => {
    const network = `the account's network rules do not allow this machine`
    if (request.credential === 'sas') return `${network}, or ${lacksRight(request)}`
    return request.credential === 'identity' ? `${network}, or ${lacksRole(request)}` : network
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

/** Says which request was refused, with which code, and what to do about it. */
export function refusal(status: number, service: string | undefined, request: AzureRequest): string {
  const remedy = remedies[service ?? '']
  const code = service === undefined ? `${status}` : `${status} ${service}`
  return `Storage refused ${described(request)} (${code})${remedy === undefined ? '' : `: ${remedy(request)}`}.`
}

/** Says when a SAS ended. */
export function expired(instantMs: number): string {
  return `the SAS expired at ${new Date(instantMs).toISOString()}`
}
