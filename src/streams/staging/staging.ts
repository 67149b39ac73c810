import { type FileHandle, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { type Logger, silentLogger } from '../../reporting/logger.ts'

// The names that Tailrace gives to staging files. Other files in the directory must not be removed.
const ownName = /^[\w.-]+\.(?:spool|unit|line|parquet)$|^part-[\w.-]+$|^(?:encode|download|optimize)-[\w-]+$/

/**
 * The directory of one pipeline's staging files.
 *
 * All of them are disposable: data that is not committed is read again from its blob.
 */
export class Staging {
  readonly directory: string
  #expireMs: number
  #log: Logger
  #firstRemovalMs: number | undefined

  /** @param expireMs an older file was left by a process that has ended; in milliseconds */
  constructor(directory: string, expireMs: number, logger: Logger = silentLogger) {
    this.directory = directory
    this.#expireMs = expireMs
    this.#log = logger
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

  /** The path for the text of a long line whose end has not been read. */
  linePath(lineId: string): string {
    return join(this.directory, `${lineId}.line`)
  }

  /** Removes one staging file, as `removeStaged` does. */
  remove(path: string): Promise<void> {
    return removeStaged(path, this.#log)
  }

  /** Removes staging files older than the limit. Never fails. @returns the number of bytes removed */
  async removeExpired(nowMs: number): Promise<number> {
    // Files written since the first call belong to this process, however long a full disk or a slow sink holds them.
    this.#firstRemovalMs ??= nowMs
    let bytes = 0
    const names = await readdir(this.directory).catch((error: unknown) => {
      this.#log.warn({ err: error, directory: this.directory }, 'the staging directory could not be listed')
      return []
    })
    for (const name of names) {
      if (!ownName.test(name)) continue
      const path = join(this.directory, name)
      // Another process may have removed the same file.
      const file = await stat(path).catch(() => undefined)
      if (file === undefined || file.mtimeMs >= this.#firstRemovalMs) continue
      if (nowMs - file.mtimeMs < this.#expireMs) continue
      await this.remove(path)
      bytes += file.size
    }
    return bytes
  }
}

/**
 * Removes a file or folder that is no longer needed. A failure is only logged: the file takes space until a later start
 * removes it.
 */
export async function removeStaged(path: string, logger: Logger): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((error: unknown) =>
    logger.warn(
      { err: error, path },
      'a staging file could not be removed; a start after it expires removes it',
    ),
  )
}

/** Writes all bytes at a fixed position, so that the same write can be repeated. */
export async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await file.write(bytes, written, bytes.length - written, position + written)
    written += result.bytesWritten
  }
}
