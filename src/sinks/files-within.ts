import { createHash } from 'node:crypto'
import type { FileFacts } from './query-session.ts'

/**
 * @param files of a table, with the facts of its column of time
 * @returns a text that changes when the table's rows within a range of time do, and seldom otherwise
 */
export function keyWithin(files: readonly FileFacts[], fromMs: number, toMs: number): string {
  // A row without a time belongs to one with a time that may be in any other file.
  const isDated = files.every(({ noneNull }) => noneNull)
  const hash = createHash('sha256')
  for (const { id, bounds } of files)
    if (!isDated || bounds === undefined || (bounds.fromMs < toMs && bounds.toMs >= fromMs))
      hash.update(id).update('\n')
  return hash.digest('hex')
}
