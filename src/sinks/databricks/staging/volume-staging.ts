/** A file in the volume. */
export interface StagedFile {
  /** Below the staging folder, such as `2026-11-24/15/6f1d….parquet`. */
  readonly name: string
  readonly bytes: number
  readonly modifiedAtMs: number
}

/**
 * The folder of a Unity Catalog volume where files wait to be loaded. Names hold only `A-Z a-z 0-9 . _ - /`.
 *
 * Every method repeats itself after transient faults.
 */
export interface VolumeStaging {
  /** The folder's path, such as `/Volumes/catalog/schema/volume/folder`. */
  readonly folder: string

  /**
   * Uploads a whole file, in place of one of that name. The length is stated, so that half a file is never there.
   *
   * @throws WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE, STATEMENT_FAILED
   */
  put(name: string, localPath: string): Promise<void>

  /** @returns undefined when there is no such file */
  sizeOf(name: string): Promise<number | undefined>

  /** Removes a file; one that is not there is no mistake. */
  remove(name: string): Promise<void>

  /** The files directly in a folder below the staging folder, and the folders in it; none when it does not exist. */
  list(
    folder: string,
  ): Promise<{ readonly files: readonly StagedFile[]; readonly folders: readonly string[] }>
}
