import type { VolumeFiles } from './warehouse-engine.ts'

/** The metadata of a file or directory in the Files API; times are in milliseconds since the epoch. */
export interface DirectoryEntry {
  readonly path: string
  readonly name: string
  readonly is_directory: boolean
  readonly file_size?: number
  readonly last_modified?: number
}

/** The files directly in a directory, and the directories that deeper files or their own making imply, by name. */
export function directoryEntries(
  directory: string,
  files: Awaited<ReturnType<VolumeFiles['list']>>,
  made: Iterable<string>,
): readonly DirectoryEntry[] {
  const entries = new Map<string, DirectoryEntry>()
  const put = (path: string, last?: Omit<DirectoryEntry, 'path' | 'name'>): void => {
    const [name, ...below] = path.slice(directory.length + 1).split('/')
    if (name === undefined || !path.startsWith(`${directory}/`)) return
    const rest = below.length === 0 && last !== undefined ? last : { is_directory: true }
    entries.set(name, { path: `${directory}/${name}`, name, ...rest })
  }
  for (const path of made) put(path)
  for (const { path, bytes, modifiedAtMs } of files) {
    put(path, { is_directory: false, file_size: bytes, last_modified: modifiedAtMs })
  }
  return [...entries.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}
