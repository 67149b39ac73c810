import type { ContainerClient } from '@azure/storage-blob'

/** With what a client proves who it is. */
export type CredentialKind = 'identity' | 'sas' | 'key' | 'nothing'

/** A request to storage, as far as its errors have to speak of it. */
export interface AzureRequest {
  readonly kind: 'read' | 'list'
  readonly container: string
  /** The blob's name or the listing's prefix. */
  readonly name: string
  readonly credential: CredentialKind
  /** When the plain SAS in use ends; undefined for others. */
  readonly sasExpiresAtMs?: number | undefined
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
