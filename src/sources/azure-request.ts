import type { ContainerClient } from '@azure/storage-blob'

/** With what a client proves who it is. */
export type CredentialKind = 'identity' | 'sas' | 'key' | 'nothing'

/** What a SAS says of its own validity; a stored access policy says the rest. */
export interface SasTerms {
  readonly startsAtMs: number | undefined
  readonly expiresAtMs: number | undefined
  /** Letters, such as `rl`. */
  readonly permissions: string | undefined
}

/** A request to storage, as far as its errors have to speak of it. */
export interface AzureRequest {
  readonly kind: 'read' | 'list'
  readonly container: string
  /** The blob's name or the listing's prefix. */
  readonly name: string
  readonly credential: CredentialKind
  /** What the SAS in use says of itself; undefined for other credentials. */
  readonly sas?: SasTerms | undefined
  readonly nowMs: number
  /** Storage has taken this reader's credential before. */
  readonly wasAdmitted: boolean
  /** If it was refused: it is to be repeated, because the like of it was granted before. */
  readonly refusalMayPass?: boolean
}

/** Names a request for a message, such as `reading logs/a.json`. */
export function described({ kind, container, name }: AzureRequest): string {
  return `${kind === 'read' ? 'reading' : 'listing'} ${container}/${name}`
}

/** By its shape: a client that the caller made may come from the SDK's other build, whose classes are others. */
export function credentialOf({ credential, url }: ContainerClient): CredentialKind {
  if ('getToken' in credential) return 'identity'
  if ('accountName' in credential) return 'key'
  return /[?&]sig=/.test(url) ? 'sas' : 'nothing'
}

/** https://learn.microsoft.com/rest/api/storageservices/create-service-sas: `st`, `se` and `sp` */
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
