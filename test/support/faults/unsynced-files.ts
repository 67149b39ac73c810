import { type Dirent, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../../doubles/seeded-random.ts'
import { isMissingFile } from '../../../src/sinks/delta/storage/file-errors.ts'
import type { FileCall, FileCallWatcher } from './file-calls.ts'

/** A file or a folder, whatever its name: the inode with its birth, because inodes are used again. */
type Identity = string

interface FolderEntry {
  readonly identity: Identity
  readonly isFolder: boolean
}

type FolderEntries = ReadonlyMap<string, FolderEntry>

/** The names in a folder from a call on, counted from the beginning. */
interface FolderState {
  readonly sinceCall: number
  readonly entries: FolderEntries
}

interface Folder {
  /** The oldest first; one for each call that changed a name. */
  readonly states: FolderState[]
  /** The names that are on disk for certain. */
  synced: FolderState
}

interface File {
  /** Size and time of the last change: what a content is read again by. */
  version: string
  /** What it holds now, or held last. */
  content: Buffer
  /** What is on disk for certain. */
  synced: Buffer | undefined
}

/** Calls that change no name and no content. */
const questions: ReadonlySet<FileCall['name']> = new Set([
  'access',
  'lstat',
  'readFile',
  'readdir',
  'stat',
  'file.close',
  'file.read',
  'file.readFile',
  'file.stat',
])

/**
 * What a power cut may leave of a folder and all below it: a file system only promises what was synced.
 *
 * A name survives when its folder was synced after it was made; bytes survive when their file was synced. Of the names
 * that were not, those of the calls up to some instant survive, as on a file system with a journal; of unsynced bytes,
 * none, some or all. Whatever there was at the beginning counts as synced.
 */
export class UnsyncedFiles implements FileCallWatcher {
  readonly #root: string
  readonly #folders = new Map<Identity, Folder>()
  readonly #files = new Map<Identity, File>()
  readonly #rootIdentity: Identity
  readonly #onChange: (call: FileCall) => void
  #calls = 0

  /**
   * @param root a folder that exists
   * @param onChange hears of each call below `root` that may have changed something, after it
   */
  constructor(root: string, onChange: (call: FileCall) => void) {
    this.#root = root
    this.#onChange = onChange
    this.#rootIdentity = identityOf(root)
    this.#scan(root)
    for (const folder of this.#folders.values()) folder.synced = lastOf(folder)
    for (const file of this.#files.values()) file.synced = file.content
  }

  after(call: FileCall): void {
    if (questions.has(call.name) || !`${call.path}/`.startsWith(`${this.#root}/`)) return
    this.#calls += 1
    this.#scan(this.#root)
    if (call.name === 'file.sync' || call.name === 'file.datasync') this.#noteSync(call.path)
    this.#onChange(call)
  }

  /** Writes what a power cut at this instant leaves into an empty folder. */
  writeSurvivors(target: string, random: Random): void {
    const keepsNothing = random.next() < 0.3
    const namesUntilCall = keepsNothing ? 0 : random.between(0, this.#calls)
    const copy = (identity: Identity, path: string): void => {
      mkdirSync(path, { recursive: true })
      const folder = this.#folders.get(identity)
      if (folder === undefined) return
      for (const [name, entry] of survivingState(folder, namesUntilCall).entries) {
        if (entry.isFolder) copy(entry.identity, join(path, name))
        else writeFileSync(join(path, name), this.#survivingContent(entry.identity, random, keepsNothing))
      }
    }
    copy(this.#rootIdentity, target)
  }

  #survivingContent(identity: Identity, random: Random, keepsNothing: boolean): Buffer {
    const file = this.#files.get(identity)
    if (file === undefined) return Buffer.alloc(0)
    const { content, synced = Buffer.alloc(0) } = file
    if (synced.equals(content) || keepsNothing) return synced
    const choices = [synced, Buffer.alloc(0), content.subarray(0, content.length >> 1), content]
    return choices[random.between(0, choices.length - 1)]!
  }

  #noteSync(path: string): void {
    const identity = identityOf(path)
    const folder = this.#folders.get(identity)
    if (folder !== undefined) folder.synced = { ...lastOf(folder), sinceCall: this.#calls }
    const file = this.#files.get(identity)
    if (file !== undefined) file.synced = file.content
  }

  #scan(path: string): void {
    const identity = identityOf(path)
    const found = readdirSync(path, { withFileTypes: true })
    const entries = new Map(
      found.flatMap((entry) => {
        const known = unlessMissing(() => this.#entryOf(path, entry))
        return known === undefined ? [] : [[entry.name, known]]
      }),
    )
    const state = { sinceCall: this.#calls, entries }
    const folder = this.#folders.get(identity)
    if (folder === undefined) {
      // A new folder is on disk without a name in it, as soon as its own name is.
      const synced = { sinceCall: this.#calls, entries: new Map() }
      this.#folders.set(identity, { states: [state], synced })
    } else if (!areSame(lastOf(folder).entries, entries)) folder.states.push(state)
  }

  #entryOf(path: string, entry: Dirent): FolderEntry {
    const place = join(path, entry.name)
    const identity = identityOf(place)
    if (entry.isDirectory()) {
      this.#scan(place)
      return { identity, isFolder: true }
    }
    const { size, mtimeNs } = lstatSync(place, { bigint: true })
    const version = `${size}-${mtimeNs}`
    const file = this.#files.get(identity)
    if (file === undefined) {
      this.#files.set(identity, { version, content: readFileSync(place), synced: undefined })
    } else if (file.version !== version) {
      file.version = version
      file.content = readFileSync(place)
    }
    return { identity, isFolder: false }
  }
}

function survivingState(folder: Folder, untilCall: number): FolderState {
  const { synced } = folder
  if (untilCall <= synced.sinceCall) return synced
  return folder.states.findLast(({ sinceCall }) => sinceCall <= untilCall) ?? synced
}

function lastOf(folder: Folder): FolderState {
  return folder.states.at(-1)!
}

function areSame(left: FolderEntries, right: FolderEntries): boolean {
  if (left.size !== right.size) return false
  return [...left].every(([name, { identity }]) => right.get(name)?.identity === identity)
}

/** The engine's threads remove and rename files of their own while they are looked at. */
function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (!isMissingFile(error)) throw error
    return undefined
  }
}

function identityOf(path: string): Identity {
  const { ino, birthtimeNs } = lstatSync(path, { bigint: true })
  return `${ino}-${birthtimeNs}`
}
