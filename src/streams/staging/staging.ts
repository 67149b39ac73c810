import { type FileHandle, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'

// The names that Tailrace gives to staging files. Other files in the directory must not be removed.
const ownName = /^[\w.-]+\.(?:spool|unit|parquet)$|^part-[\w.-]+$|^(?:encode|download|optimize)-[\w-]+$/

/**
 * The directory of one pipeline's staging files.
 *
 * All of them are disposable: data that is not committed is read again from its blob.
 */
export class Staging {
  readonly directory: string
  #expireMs: number
  #firstRemovalMs: number | undefined

  /** @param expireMs an older file was left by a process that has ended; in milliseconds */
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

  /** The path for the entries of an incomplete unit. */
  unitPath(unitId: string): string {
    return join(this.directory, `${unitId}.unit`)
  }

  /** Removes staging files older than the limit. @returns the number of bytes removed */
  async removeExpired(nowMs: number): Promise<number> {
    // Files written since the first call belong to this process, however long a full disk or a slow sink holds them.
    this.#firstRemovalMs ??= nowMs
    let bytes = 0
    for (const name of await readdir(this.directory)) {
      if (!ownName.test(name)) continue
      const path = join(this.directory, name)
      // Another process may have removed the same file.
      const file = await stat(path).catch(() => undefined)
      if (file === undefined || file.mtimeMs >= this.#firstRemovalMs) continue
      if (nowMs - file.mtimeMs < this.#expireMs) continue
      await rm(path, { recursive: true, force: true })
      bytes += file.size
    }
    return bytes
  }
}

/** Writes all bytes at a fixed position, so that the same write can be repeated. */
export async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await file.write(bytes, written, bytes.length - written, position + written)
    written += result.bytesWritten
  }
}
