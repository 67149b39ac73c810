/** What a create-if-absent came to. */
export type PutOutcome =
  /** The object is there, whole and durable, and this call made it. */
  | 'created'
  /** The path was taken; nothing was changed. */
  | 'exists'
  /** The reply was lost: the object may be there, may come to be there, or neither. */
  | 'unknown'

/** A file of the table that can be opened by path on this machine. */
export interface LocalFile {
  /** Ends with the object's own name. */
  readonly path: string
  /** Deletes the copy, where there is one. */
  release(): Promise<void>
}

/** An object of a folder and when the storage says it was last written, in milliseconds since 1970. */
export interface StoredObject {
  readonly name: string
  readonly modifiedMs: number
  readonly bytes: number
}

/** What lies directly in a folder. */
export interface FolderContents {
  readonly objects: readonly StoredObject[]
  /** Names of the folders in it. Storage without folders of their own has none that is empty. */
  readonly folders: readonly string[]
}

/**
 * Where a Delta table's files are.
 *
 * Paths are relative to the table's root, with `/` between their parts and without URI escapes. Implementations
 * translate their service's errors: DISK_FULL, TABLE_UNAVAILABLE for what may pass, TABLE_DENIED and
 * TABLE_UNSUPPORTED for what will not. An error thrown by `putIfAbsent` means that nothing was created; a doubt
 * is `unknown`.
 */
export interface DeltaStorage {
  /** The table's root for logs and messages, without secrets. */
  readonly location: string

  /**
   * Makes the root ready for commits and clears what crashed writers left behind.
   *
   * @throws TABLE_UNSUPPORTED when the storage cannot create an object if and only if it is absent
   */
  prepare(): Promise<void>

  /** Creates an object with all its bytes in one atomic and durable step, unless the path is taken. */
  putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome>

  /** Creates or replaces an object in one atomic step. */
  put(path: string, bytes: Buffer): Promise<void>

  /** @returns the object's bytes, or undefined when there is no such object. */
  read(path: string): Promise<Buffer | undefined>

  /**
   * @param prefix leaves out the names that do not begin with it. Default: none
   * @returns the names of the objects directly in a folder; none when it does not exist
   */
  list(folder: string, prefix?: string): Promise<string[]>

  /**
   * Lists a folder like `list`, with the objects' times, page by page in the order of the names; leaves out what
   * vanished meanwhile, and folders. Who has seen enough ends it, and the rest is not listed.
   */
  pages(folder: string, prefix?: string): AsyncIterable<readonly StoredObject[]>

  /** Lists a folder with its objects' times and sizes, and the folders in it. @param folder empty for the table's root */
  contentsOf(folder: string): Promise<FolderContents>

  /** Deletes an object; one that is not there is no error. Need not be durable when it returns. */
  remove(path: string): Promise<void>

  /**
   * Makes a finished local file durable at a path in the table. The local file may be gone afterwards.
   */
  putFile(localPath: string, path: string): Promise<void>

  /** Undoes `putFile`: the file is at its local path again and no longer in the table. */
  withdrawFile(path: string, localPath: string): Promise<void>

  /**
   * Makes an object readable by path for the embedded engine.
   *
   * @throws TABLE_TOO_LARGE when it is far away and the copies that are not released have no room for it
   */
  localFile(path: string): Promise<LocalFile>
}
