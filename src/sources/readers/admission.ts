import type { AzureRequest } from './azure-errors.ts'

/** How long refusals are repeated after storage had admitted the process, in milliseconds. */
export const refusedMs = 15 * 60_000

/** Codes of a credential that may be good for one kind of request and not for another. */
const lackOfRight: ReadonlySet<string> = new Set([
  'AuthorizationPermissionMismatch',
  'AuthorizationResourceTypeMismatch',
  'AuthorizationFailure',
  'InsufficientAccountPermissions',
])

/**
 * Which requests storage has granted to this process, so that a refusal is known for what may pass.
 *
 * A credential that was never good is a mistake of the configuration. One that was good is refused in outages, while a
 * role or a network rule is being changed, while a key is rotated, and by proxies; it may be good again.
 */
export class Admission {
  #granted = new Set<AzureRequest['kind']>()
  #refusedSinceMs = new Map<AzureRequest['kind'], number>()

  /** Whether anything was granted. */
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
   * @returns whether the request is to be repeated: the like of it was granted before, and has not been refused for a
   *   quarter of an hour since
   */
  refused(kind: AzureRequest['kind'], service: string | undefined, nowMs: number): boolean {
    const wasGood = this.#granted.has(kind) || (this.wasGranted && !lackOfRight.has(service ?? ''))
    if (!wasGood) return false
    const sinceMs = this.#refusedSinceMs.get(kind) ?? nowMs
    this.#refusedSinceMs.set(kind, sinceMs)
    return nowMs - sinceMs < refusedMs
  }
}
