import type { TokenCredential } from '@azure/identity'

/** Gives tokens of Entra ID. */
export type EntraCredential = TokenCredential

export interface EntraCredentialOptions {
  /** Of a user-assigned managed identity; without it `DefaultAzureCredential` looks for an identity. */
  readonly managedIdentityClientId?: string | undefined
  /** Where the cloud signs in; default the public one, or what AZURE_AUTHORITY_HOST says. */
  readonly authorityHost?: string | undefined
}

/** A credential of Entra ID; no token is asked for yet. A new one has an empty token cache. */
export async function entraCredential({
  managedIdentityClientId,
  authorityHost,
}: EntraCredentialOptions): Promise<EntraCredential> {
  // Loaded only when it is needed: it is half of the start-up time of everything else together.
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity')
  if (managedIdentityClientId !== undefined)
    return new ManagedIdentityCredential({ clientId: managedIdentityClientId })
  return new DefaultAzureCredential(authorityHost === undefined ? {} : { authorityHost })
}
