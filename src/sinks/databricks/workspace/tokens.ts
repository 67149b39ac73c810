import type { Clock } from '../../../clock.ts'
import type { TokenSource, WorkspaceAuth } from './auth.ts'
import type { WorkspaceHttp } from './http.ts'
import { EntraTokenSource } from './tokens-entra.ts'
import { OAuthTokenSource } from './tokens-oauth.ts'

/** The tokens of a way to prove who one is; nothing is asked for yet. */
export function tokenSource(
  auth: WorkspaceAuth,
  { http, clock }: { readonly http: WorkspaceHttp; readonly clock: Clock },
): TokenSource {
  switch (auth.kind) {
    case 'token':
      return { token: async () => ({ value: auth.token, expiresAtMs: undefined }) }
    case 'oauth':
      return new OAuthTokenSource({ ...auth, http, clock })
    case 'entra':
      return new EntraTokenSource({ ...auth, clock })
  }
}
