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

/**
 * @param only the `source_blob` that alone matters. Default: every blob does
 * @throws the reason why a blob must not be read
 */
export function requireNoneHeld(
  { heldBlobs }: Pick<TableCommitter, 'heldBlobs'>,
  only?: string | undefined,
): void {
  for (const [blob, error] of heldBlobs ?? []) if (only === undefined || blob === only) throw error
}
