import type { TableCommitter } from '../../sinks/table-committer.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

/** Lists the blobs that must not be read as a person sees the blobs set aside. */
export function heldAsSetAside(
  { heldBlobs }: Pick<TableCommitter, 'heldBlobs'>,
  container: string,
  sinceMs: number,
): readonly SetAsideBlob[] {
  return [...(heldBlobs ?? [])].map(([blob, { code, message }]) => ({
    blob: blob.slice(container.length + 1),
    code,
    reason: message,
    failures: 1,
    sinceMs,
  }))
}

/** @throws the reason why a blob must not be read */
export function requireNoneHeld({ heldBlobs }: Pick<TableCommitter, 'heldBlobs'>): void {
  for (const error of heldBlobs?.values() ?? []) throw error
}
