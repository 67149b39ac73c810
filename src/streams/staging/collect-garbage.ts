import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

/**
 * Lets go of what long texts have left behind.
 *
 * V8 waits with its large strings until the heap has grown by a multiple, and a few lines of 16 MiB would take 200 MiB.
 * A collection takes some tens of milliseconds.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}
