import type { AzureRequest } from '../../azure/source-errors.ts'

/** How long refused requests are retried when storage granted the like before, in milliseconds. */
const maxRefusedMs = 15 * 60_000

/** Codes by which storage refuses one kind of request while the credential is valid for another. */
const lackOfPermission: ReadonlySet<string> = new Set([
  'AuthorizationPermissionMismatch',
  'AuthorizationResourceTypeMismatch',
  'AuthorizationFailure',
  'InsufficientAccountPermissions',
])

/**
 * The kinds of requests that storage has granted to this process, to distinguish a temporary refusal from a lasting one.
 *
 * A credential that never worked is a mistake in the configuration. One that worked is refused in outages, while a role or
 * a network rule is being changed, while a key is rotated, and by proxies, and then it may work again.
 */
export class Admission {
  #granted = new Set<AzureRequest['kind']>()
  #refusedSinceMs = new Map<AzureRequest['kind'], number>()

  /** Whether any request was granted. */
  get wasGranted(): boolean {
    return this.#granted.size > 0
  }

  granted(kind: AzureRequest['kind']): void {
    this.#granted.add(kind)
    this.#refusedSinceMs.delete(kind)
  }

  /**
   * Notes a refusal.
   *
   * @param service storage's error code
   * @returns whether to retry: requests of this kind were granted before, and have been refused for less than a quarter of
   *   an hour
   */
  refused(kind: AzureRequest['kind'], service: string | undefined, nowMs: number): boolean {
    const wasGood = this.#granted.has(kind) || (this.wasGranted && !lackOfPermission.has(service ?? ''))
    if (!wasGood) return false
    const sinceMs = this.#refusedSinceMs.get(kind) ?? nowMs
    this.#refusedSinceMs.set(kind, sinceMs)
    return nowMs - sinceMs < maxRefusedMs
  }
}
