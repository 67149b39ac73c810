/** A file in the volume. */
export interface StagedFile {
  /** Path below the staging folder, such as `2026-11-24/15/6f1d….parquet`. */
  readonly name: string
  readonly bytes: number
  readonly modifiedAtMs: number
}

/**
 * A folder of a Unity Catalog volume for files that wait to be loaded. Names hold only `A-Z a-z 0-9 . _ - /`.
 *
 * Every method retries after transient failures.
 */
export interface VolumeStaging {
  /** The folder's path, such as `/Volumes/catalog/schema/volume/folder`. */
  readonly folder: string

  /**
   * Uploads a file, replacing any file of that name. Its length is sent first, so that no partial file becomes visible.
   *
   * @throws WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE, STATEMENT_FAILED
   */
  put(name: string, localPath: string): Promise<void>

  /** @returns the file's size in bytes; undefined when it does not exist */
  sizeOf(name: string): Promise<number | undefined>

  /** Removes a file; a missing one is no error. */
  remove(name: string): Promise<void>

  /** Lists the files and folders directly in a folder below the staging folder; none when it does not exist. */
  list(
    folder: string,
  ): Promise<{ readonly files: readonly StagedFile[]; readonly folders: readonly string[] }>
}
