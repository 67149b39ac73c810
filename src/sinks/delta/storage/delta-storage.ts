/** The outcome of creating an object only if its path is free. */
export type PutOutcome =
  /** This call created the object, whole and durable. */
  | 'created'
  /** The path was taken; nothing was changed. */
  | 'exists'
  /** The reply was lost: this call may have created the object, or may still create it. */
  | 'unknown'

/** A file of the table that can be opened by its path on this machine. */
export interface LocalFile {
  /** Its last part is the object's own name. */
  readonly path: string
  /** Deletes the copy, if the file is one. */
  release(): Promise<void>
  /**
   * Begins the age of a copy anew, so that no other process takes it for a leftover. Absent for a file that is no copy.
   *
   * @returns false when the copy is gone
   */
  keep?(): Promise<boolean>
}

/** An object in a folder. */
export interface StoredObject {
  readonly name: string
  /** When it was last written by the storage's clock, in milliseconds since the epoch. */
  readonly modifiedMs: number
  readonly bytes: number
}

/** The direct children of a folder. */
export interface FolderContents {
  readonly objects: readonly StoredObject[]
  /** Names of the subfolders. Object storage has no empty folders. */
  readonly folders: readonly string[]
}

/**
 * The storage of a Delta table's files.
 *
 * Paths are relative to the table's root, with `/` between their parts and without URI escapes. Implementations
 * translate their service's errors: DISK_FULL, TABLE_UNAVAILABLE for transient failures, TABLE_DENIED and
 * TABLE_UNSUPPORTED for permanent ones. An error thrown by `putIfAbsent` means that nothing was created.
 */
export interface DeltaStorage {
  /** The table's root, for logs and messages; holds no secret. */
  readonly location: string

  /**
   * Makes the root ready for commits and deletes temporary files that crashed writers left.
   *
   * @throws TABLE_UNSUPPORTED when the storage cannot create an object only if its path is free
   */
  prepare(): Promise<void>

  /** Creates an object in one atomic and durable step, unless its path is taken. */
  putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome>

  /** Creates or replaces an object in one atomic step. */
  put(path: string, bytes: Buffer): Promise<void>

  /** @returns the object's bytes, or undefined when there is no such object. */
  read(path: string): Promise<Buffer | undefined>

  /**
   * Lists the names of the objects directly in a folder; none when the folder does not exist.
   *
   * @param prefix lists only names that start with it. Default: all names
   */
  list(folder: string, prefix?: string): Promise<string[]>

  /**
   * Lists a folder like `list`, but with times and sizes, page by page in the order of the names. Objects that vanish
   * during the listing may be left out. When the caller stops early, the rest is not requested.
   */
  pages(folder: string, prefix?: string): AsyncIterable<readonly StoredObject[]>

  /** Lists a folder's objects with times and sizes, and its subfolders. @param folder empty for the table's root */
  contentsOf(folder: string): Promise<FolderContents>

  /** Deletes an object; a missing one is no error. May not be durable yet when it returns. */
  remove(path: string): Promise<void>

  /**
   * Stores a finished local file durably at a path in the table. The local file may be gone afterwards; after a failure
   * it is unchanged, so that the call can be repeated.
   */
  putFile(localPath: string, path: string): Promise<void>

  /** Undoes `putFile`: the file is back at its local path and no longer in the table. */
  withdrawFile(path: string, localPath: string): Promise<void>

  /**
   * Makes an object available as a local file, which the embedded engine can read.
   *
   * @throws TABLE_TOO_LARGE when it has to be copied, and all unreleased copies together would exceed their limit
   */
  localFile(path: string): Promise<LocalFile>

  /**
   * The time of a service's clock, which is not that of this machine; absent where both are one.
   *
   * @param path of any object
   * @returns milliseconds since the epoch; undefined when there is no such object, or the answer has no time
   */
  serviceTimeMs?(path: string): Promise<number | undefined>
}
