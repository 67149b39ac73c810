import type { Clock } from '../src/clock.ts'

/** A clock's `sleep`, by its `after`. */
export function sleepBy(after: Clock['after'], ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => reject(new DOMException('The sleep was aborted.', 'AbortError'))
    if (signal?.aborted) return refuse()
    const abort = (): void => {
      cancel()
      refuse()
    }
    const cancel = after(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}
