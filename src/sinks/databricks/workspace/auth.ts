/** Credentials of a pipeline for a Databricks workspace. */
export type WorkspaceAuth =
  /** A personal access token. */
  | { readonly kind: 'token'; readonly token: string }
  /** A service principal with a secret of Databricks (OAuth, machine to machine). */
  | { readonly kind: 'oauth'; readonly clientId: string; readonly clientSecret: string }
  /**
   * Entra ID through `DefaultAzureCredential`: a managed or workload identity, a service principal from environment
   * variables, or the signed-in user. With a client id, that user-assigned managed identity.
   */
  | { readonly kind: 'entra'; readonly managedIdentityClientId?: string | undefined }

/** Address of a workspace, and how to connect to it. */
export interface WorkspaceAddress {
  /** Host name, such as `adb-1234567890123456.7.azuredatabricks.net`. */
  readonly host: string
  /** Default 443. */
  readonly port?: number | undefined
  /** `/sql/1.0/warehouses/<id>`. */
  readonly httpPath: string
  readonly auth: WorkspaceAuth
  /** An HTTP proxy, such as `http://proxy.example:3128`; a password in it is redacted everywhere. */
  readonly proxy?: string | undefined
  /** PEM text of a certificate authority to trust in addition to the usual ones. */
  readonly customCa?: string | undefined
}

/** Options of a request for a token. */
export interface TokenRequest {
  /** A token that the workspace refused: it is not returned again if a newer one can be had. */
  readonly rejected?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Provides tokens for requests and renews them before they expire. */
export interface TokenSource {
  /** @throws WAREHOUSE_DENIED when the identity is refused, WAREHOUSE_UNAVAILABLE when nothing answers */
  token(options?: TokenRequest): Promise<{
    readonly value: string
    readonly expiresAtMs: number | undefined
  }>
}
