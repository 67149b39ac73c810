import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Garbage is collected after work on a longer text. */
export const longRowBytes = 4 * 1024 * 1024

let collect: (() => void) | undefined

/**
 * Collects garbage at once, after work on long texts.
 *
 * V8 frees large strings only when the heap has grown by a multiple: a few lines of 16 MiB would hold 200 MiB. A
 * collection takes some tens of milliseconds.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}
