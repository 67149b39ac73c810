import { type EntraCredential, entraCredential } from '../../../azure/entra-credential.ts'
import { copied, credentialErrorNames } from '../../../azure/failure.ts'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import { requireInstalled } from '../../../package.ts'
import type { TokenRequest, TokenSource } from './auth.ts'
import { RenewedToken, type Token } from './renewed-token.ts'

/** Resource id of Azure Databricks, the same in every tenant: https://learn.microsoft.com/azure/databricks/dev-tools/auth/ */
const scope = '2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default'

export interface EntraTokenSourceOptions {
  readonly managedIdentityClientId?: string | undefined
  readonly clock: Clock
  /** Creates a credential with an empty token cache. Default `entraCredential`. */
  readonly open?: (() => Promise<EntraCredential>) | undefined
  /** Longest wait for a token, in milliseconds. Default 60,000. */
  readonly answerMs?: number | undefined
}

/** Provides tokens of Entra ID. The identity library connects through the proxy of HTTPS_PROXY and not `sink.proxy`. */
export class EntraTokenSource implements TokenSource {
  readonly #open: () => Promise<EntraCredential>
  readonly #answerMs: number
  readonly #clock: Clock
  readonly #renewed: RenewedToken
  #credential: EntraCredential | undefined

  constructor({ managedIdentityClientId, clock, open, answerMs = 60_000 }: EntraTokenSourceOptions) {
    if (open === undefined) requireInstalled('@azure/identity', 'Signing in to a workspace with Entra ID')
    this.#open = open ?? (() => entraCredential({ managedIdentityClientId }))
    this.#answerMs = answerMs
    this.#clock = clock
    this.#renewed = new RenewedToken(clock, (afterRejection) => this.#ask(afterRejection))
  }

  token(options?: TokenRequest): Promise<Token> {
    return this.#renewed.token(options)
  }

  async #ask(afterRejection: boolean): Promise<Token> {
    const abort = new AbortController()
    const late = new Error(`no token for ${this.#answerMs} ms`)
    const cancel = this.#clock.after(this.#answerMs, () => abort.abort(late))
    try {
      // A credential caches its token and would return the refused one again, so a new credential is made.
      if (afterRejection) this.#credential = undefined
      this.#credential ??= await this.#open()
      const token = await this.#credential.getToken(scope, { abortSignal: abort.signal })
      if (token === null)
        throw new TailraceError('WAREHOUSE_DENIED', 'Entra ID gave the identity no token for Databricks')
      return { value: token.token, expiresAtMs: token.expiresOnTimestamp }
    } catch (error) {
      throw abort.signal.aborted ? refusal(late) : refusal(error)
    } finally {
      cancel()
    }
  }
}

function refusal(error: unknown): TailraceError {
  if (error instanceof TailraceError) return error
  const { name, statusCode } = error as { readonly name?: string; readonly statusCode?: unknown }
  const passing = typeof statusCode === 'number' && (statusCode === 429 || statusCode >= 500)
  const denied = name !== undefined && credentialErrorNames.has(name) && !passing
  return new TailraceError(
    denied ? 'WAREHOUSE_DENIED' : 'WAREHOUSE_UNAVAILABLE',
    denied ? `Entra ID refused a token: ${name}` : 'Entra ID did not answer with a token',
    { cause: copied(error) },
  )
}
