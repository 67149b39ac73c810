import { type FileHandle, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'

// Only names that Tailrace itself gives: whatever else lies in the directory is not ours to remove.
const ownName = /^[\w.-]+\.(?:spool|unit|parquet)$|^part-[\w.-]+$|^(?:encode|download|optimize)-[\w-]+$/

/**
 * The directory of one pipeline's staging files.
 *
 * They are all disposable: what was not committed is read again from its blob.
 */
export class Staging {
  readonly directory: string
  #expireMs: number
  #firstLookMs: number | undefined

  /** @param expireMs age from which a file is a leftover of a process that ended, in milliseconds */
  constructor(directory: string, expireMs: number) {
    this.directory = directory
    this.#expireMs = expireMs
  }

  /** @throws DIRECTORY_UNUSABLE, DISK_FULL */
  async open(): Promise<void> {
    await withStateErrors(this.directory, () => makeDirectory(this.directory))
  }

  spoolPath(batchId: string): string {
    return join(this.directory, `${batchId}.spool`)
  }

  /** Where a unit's entries wait until all of them are there. */
  unitPath(unitId: string): string {
    return join(this.directory, `${unitId}.unit`)
  }

  /** Removes own files older than the limit. @returns how many bytes went */
  async removeExpired(nowMs: number): Promise<number> {
    // What was written since the first look is in use, however long the disk or the sink lets it wait.
    this.#firstLookMs ??= nowMs
    let bytes = 0
    for (const name of await readdir(this.directory)) {
      if (!ownName.test(name)) continue
      const path = join(this.directory, name)
      // Another process may remove the same leftover at the same time.
      const file = await stat(path).catch(() => undefined)
      if (file === undefined || file.mtimeMs >= this.#firstLookMs) continue
      if (nowMs - file.mtimeMs < this.#expireMs) continue
      await rm(path, { recursive: true, force: true })
      bytes += file.size
    }
    return bytes
  }
}

/** Writes all bytes at a fixed place, so that the same write can be repeated. */
export async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await file.write(bytes, written, bytes.length - written, position + written)
    written += result.bytesWritten
  }
}
