import { LandedOffsets } from '../../landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../records.ts'
import type { TableState } from './table-state.ts'

/** @returns the application id under which a pipeline keeps its offset of a blob generation. */
export function appIdOf(pipeline: string, source: BlobGeneration): string {
  return `${appIdPrefix(pipeline)}${generationKey(source)}`
}

/** @returns the offsets that a table holds for a pipeline. */
export function landedOffsets(state: TableState, pipeline: string): LandedOffsets {
  const prefix = appIdPrefix(pipeline)
  const offsets = new LandedOffsets()
  for (const { appId, version } of state.transactions.values()) {
    if (!appId.startsWith(prefix)) continue
    const key = appId.slice(prefix.length)
    // A blob's name may hold an @, a generation never does.
    const at = key.lastIndexOf('@')
    if (at === -1) continue
    offsets.set({ blob: key.slice(0, at), generation: key.slice(at + 1), offset: Number(version) })
  }
  return offsets
}

/** @returns what the application ids of a pipeline, and of no other, begin with. */
export function appIdPrefix(pipeline: string): string {
  return `tailrace/${pipeline}/`
}
