import type { Clock } from '../../../clock.ts'
import type { TokenRequest } from './auth.ts'

export interface Token {
  readonly value: string
  /** Milliseconds since the epoch; undefined when it has no known expiry. */
  readonly expiresAtMs: number | undefined
}

/** A token is renewed this long before it expires, or after half of its lifetime if that is later. In milliseconds. */
const renewalMs = 300_000

interface Held {
  readonly token: Token
  readonly renewAtMs: number
}

/** Caches a token until shortly before it expires. Concurrent callers share one request for a new token. */
export class RenewedToken {
  readonly #clock: Clock
  readonly #ask: (afterRejection: boolean) => Promise<Token>
  #held: Held | undefined
  #asking: Promise<Token> | undefined

  /** @param ask requests a token; with `afterRejection`, it must not return a cached one */
  constructor(clock: Clock, ask: (afterRejection: boolean) => Promise<Token>) {
    this.#clock = clock
    this.#ask = ask
  }

  /** @throws the error of requesting a token; the next call requests again */
  async token(options: TokenRequest = {}): Promise<Token> {
    const { rejected, signal } = options
    signal?.throwIfAborted()
    const held = this.#held
    const isRejected = held !== undefined && held.token.value === rejected
    if (held !== undefined && !isRejected && this.#clock.now() < held.renewAtMs) return held.token
    // The request is shared, so it continues when this caller's signal fires.
    this.#asking ??= this.#renew(isRejected).finally(() => {
      this.#asking = undefined
    })
    return await unlessAborted(this.#asking, signal)
  }

  async #renew(afterRejection: boolean): Promise<Token> {
    const token = await this.#ask(afterRejection)
    const nowMs = this.#clock.now()
    const lifeMs = token.expiresAtMs === undefined ? Number.POSITIVE_INFINITY : token.expiresAtMs - nowMs
    this.#held = { token, renewAtMs: nowMs + lifeMs - Math.min(renewalMs, Math.max(0, lifeMs) / 2) }
    return token
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  let stop = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason)
  })
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
    aborted.catch(() => {})
  }
}
