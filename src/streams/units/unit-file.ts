import { randomUUID } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import {
  bytesAsLatin1,
  type Entry,
  latin1AsText,
  type Span,
  type StoredEntries,
  spanBytes,
} from '../../records.ts'
import { type Staging, writeAt } from '../staging/staging.ts'

/** Runs a write, and repeats it when the volume is full. */
export type WithSpace = <T>(write: () => Promise<T>) => Promise<T>

/** The fields of an entry without its place. */
type StoredRow = Pick<Entry, 'raw' | 'json' | 'flat' | 'reject' | 'note'>

/**
 * The staging file that holds the entries of a large unit until the unit is complete.
 *
 * Each call of `append` is written as lines of JSON and read back as one slice, so the caller bounds a slice's size.
 */
export class UnitFile {
  #staging: Staging
  #path: string
  #file: FileHandle
  #withSpace: WithSpace
  #sliceBytes: number[] = []
  #bytes = 0
  #count = 0

  private constructor(staging: Staging, path: string, file: FileHandle, withSpace: WithSpace) {
    this.#staging = staging
    this.#path = path
    this.#file = file
    this.#withSpace = withSpace
  }

  static async create(staging: Staging, withSpace: WithSpace): Promise<UnitFile> {
    const path = staging.unitPath(randomUUID())
    return new UnitFile(staging, path, await withSpace(() => open(path, 'wx+')), withSpace)
  }

  async append(entries: readonly Entry[]): Promise<void> {
    const bytes = Buffer.from(entries.map((entry) => `${lineOf(entry)}\n`).join(''), 'latin1')
    // Written at a fixed position: after a full volume, the repeated write overwrites the partial one.
    await this.#withSpace(() => writeAt(this.#file, bytes, this.#bytes))
    this.#bytes += bytes.length
    this.#sliceBytes.push(bytes.length)
    this.#count += entries.length
  }

  /** @returns all appended entries, with the places that they have in the unit with this span */
  stored(unit: Span): StoredEntries {
    return {
      count: this.#count,
      read: () => this.#read(unit),
      discard: () => this.discard(),
    }
  }

  /** Closes and removes the file. */
  async discard(): Promise<void> {
    // Its content is not needed any more, whatever became of it.
    await this.#file.close().catch(() => {})
    await this.#staging.remove(this.#path)
  }

  async *#read(unit: Span): AsyncGenerator<readonly Entry[]> {
    let position = 0
    let index = 0
    for (const bytes of this.#sliceBytes) {
      const slice = Buffer.alloc(bytes)
      for (let read = 0; read < bytes; ) {
        const { bytesRead } = await this.#file.read(slice, read, bytes - read, position + read)
        if (bytesRead === 0) throw new Error(`${this.#path} was truncated by another process.`)
        read += bytesRead
      }
      position += bytes
      const entries = slice
        .toString('latin1', 0, bytes - 1)
        .split('\n')
        .map((line) => placed(entryOf(line), unit, index++))
      yield entries
    }
  }
}

/** @returns the entry with its final place: the span of its unit and its index in the unit */
export function placed(entry: Entry, unit: Span, index: number): Entry {
  return { ...entry, offset: unit.start, length: spanBytes(unit), index }
}

/** `note` is the only field that is not yet UTF-8 bytes, one character per byte. */
function lineOf({ raw, json, flat, reject, note }: Entry): string {
  const row: StoredRow = { raw, json, flat, reject, note: note && bytesAsLatin1(note) }
  return JSON.stringify(row)
}

function entryOf(line: string): Entry {
  const row = JSON.parse(line) as StoredRow
  const entry = { offset: 0, length: 0, index: 0, ...row }
  return row.note === undefined ? entry : { ...entry, note: latin1AsText(row.note) }
}
