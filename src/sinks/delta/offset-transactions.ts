import { LandedOffsets } from '../../landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../records.ts'
import type { TableState } from './table-state.ts'

/** @returns the application id under which a pipeline keeps its offset of a blob generation. */
export function appIdOf(pipeline: string, source: BlobGeneration): string {
  return `${prefixOf(pipeline)}${generationKey(source)}`
}

/** @returns the offsets that a table holds for a pipeline. */
export function landedOffsets(state: TableState, pipeline: string): LandedOffsets {
  const prefix = prefixOf(pipeline)
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

function prefixOf(pipeline: string): string {
  return `tailrace/${pipeline}/`
}
