import type { Clock } from '../../../clock.ts'

export interface Token {
  readonly value: string
  /** Milliseconds since the epoch; undefined when it is not known to end. */
  readonly expiresAtMs: number | undefined
}

/** A token is renewed this long before its end, in milliseconds, or at half of its life if that is shorter. */
const renewalMs = 300_000

interface Held {
  readonly token: Token
  readonly renewAtMs: number
}

/** Keeps a token until shortly before its end. Whoever needs a new one meanwhile waits for the same request. */
export class RenewedToken {
  readonly #clock: Clock
  readonly #ask: (afterRejection: boolean) => Promise<Token>
  #held: Held | undefined
  #asking: Promise<Token> | undefined

  /** @param ask gets a token; after a rejection, one that did not come out of a cache */
  constructor(clock: Clock, ask: (afterRejection: boolean) => Promise<Token>) {
    this.#clock = clock
    this.#ask = ask
  }

  /**
   * @param rejected a token that is not to be given again where there can be a newer one
   * @throws what asking for a token came to; the next call asks again
   */
  async token(options: { readonly rejected?: string; readonly signal?: AbortSignal } = {}): Promise<Token> {
    const { rejected, signal } = options
    signal?.throwIfAborted()
    const held = this.#held
    const isRejected = held !== undefined && held.token.value === rejected
    if (held !== undefined && !isRejected && this.#clock.now() < held.renewAtMs) return held.token
    // Others wait for the same request: it goes on when this one gives up.
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
