/** How a pipeline proves to a Databricks workspace who it is. */
export type WorkspaceAuth =
  /** A personal access token. */
  | { readonly kind: 'token'; readonly token: string }
  /** A service principal with a secret of Databricks (OAuth, machine to machine). */
  | { readonly kind: 'oauth'; readonly clientId: string; readonly clientSecret: string }
  /**
   * Entra ID through `DefaultAzureCredential`: a managed or workload identity, a service principal of the environment,
   * or who is signed in; or the user-assigned managed identity of a client id.
   */
  | { readonly kind: 'entra'; readonly managedIdentityClientId?: string | undefined }

/** Where a workspace is, and the way to it. */
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
  /** PEM text of a certificate authority that is trusted beside the usual ones. */
  readonly customCa?: string | undefined
}

/** Gives the token of a request, a new one before the last one ends. */
export interface TokenSource {
  /**
   * @param rejected a token that the workspace has just refused: it is not given again where there can be a newer one
   * @throws WAREHOUSE_DENIED when the identity is refused, WAREHOUSE_UNAVAILABLE when nothing answers
   */
  token(options?: { readonly rejected?: string; readonly signal?: AbortSignal }): Promise<{
    readonly value: string
    readonly expiresAtMs: number | undefined
  }>
}
