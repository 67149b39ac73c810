import type { TokenCredential } from '@azure/identity'

/** Provides tokens of Entra ID. */
export type EntraCredential = TokenCredential

export interface EntraCredentialOptions {
  /** Client id of a user-assigned managed identity. Default: `DefaultAzureCredential` finds an identity. */
  readonly managedIdentityClientId?: string | undefined
  /** The cloud's sign-in host. Default: AZURE_AUTHORITY_HOST, or the public cloud. */
  readonly authorityHost?: string | undefined
}

/** Creates a credential of Entra ID with an empty token cache, without requesting a token. */
export async function entraCredential({
  managedIdentityClientId,
  authorityHost,
}: EntraCredentialOptions): Promise<EntraCredential> {
  // Loaded on demand: it would add half to the start-up time of the process.
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity')
  if (managedIdentityClientId !== undefined)
    return new ManagedIdentityCredential({ clientId: managedIdentityClientId })
  return new DefaultAzureCredential(authorityHost === undefined ? {} : { authorityHost })
}
