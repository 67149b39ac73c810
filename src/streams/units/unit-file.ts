import { type FileHandle, open, rm } from 'node:fs/promises'
import {
  bytesAsLatin1,
  type Entry,
  latin1AsText,
  type Span,
  type StoredEntries,
  spanBytes,
} from '../../records.ts'
import { writeAt } from '../staging/staging.ts'

/** Repeats a write that finds the volume full. */
export type WithSpace = <T>(write: () => Promise<T>) => Promise<T>

/** The fields of an entry that are not its place, in the order in which they are written. */
type StoredRow = [
  raw: string,
  json: string | null,
  flat: boolean | null,
  reject: Entry['reject'] | null,
  note: string | null,
]

/**
 * The staging file in which the entries of one large unit wait for the unit's end.
 *
 * Each append is written as lines of JSON and is read as one slice, so a slice is as large as what was appended.
 */
export class UnitFile {
  #path: string
  #file: FileHandle
  #withSpace: WithSpace
  #sliceBytes: number[] = []
  #bytes = 0
  #count = 0

  private constructor(path: string, file: FileHandle, withSpace: WithSpace) {
    this.#path = path
    this.#file = file
    this.#withSpace = withSpace
  }

  static async create(path: string, withSpace: WithSpace): Promise<UnitFile> {
    return new UnitFile(path, await withSpace(() => open(path, 'wx+')), withSpace)
  }

  async append(entries: readonly Entry[]): Promise<void> {
    const bytes = Buffer.from(entries.map((entry) => `${JSON.stringify(rowOf(entry))}\n`).join(''), 'latin1')
    // Written at a fixed place, so that a repeat after a full volume overwrites what the first try left.
    await this.#withSpace(() => writeAt(this.#file, bytes, this.#bytes))
    this.#bytes += bytes.length
    this.#sliceBytes.push(bytes.length)
    this.#count += entries.length
  }

  /** @returns what was appended, as the entries of the unit with this span */
  stored(unit: Span): StoredEntries {
    return {
      count: this.#count,
      read: () => this.#read(unit),
      discard: () => this.discard(),
    }
  }

  /** Closes and removes the file. */
  async discard(): Promise<void> {
    await this.#file.close()
    await rm(this.#path, { force: true })
  }

  async *#read(unit: Span): AsyncGenerator<readonly Entry[]> {
    let position = 0
    let index = 0
    for (const bytes of this.#sliceBytes) {
      const slice = Buffer.alloc(bytes)
      for (let read = 0; read < bytes; ) {
        const { bytesRead } = await this.#file.read(slice, read, bytes - read, position + read)
        if (bytesRead === 0) throw new Error(`${this.#path} was cut short by someone else.`)
        read += bytesRead
      }
      position += bytes
      const entries = slice
        .toString('latin1', 0, bytes - 1)
        .split('\n')
        .map((line) => placed(entryOf(JSON.parse(line) as StoredRow), unit, index++))
      yield entries
    }
  }
}

/** An entry at its final place: its unit's, and a number of its own in it. */
export function placed(entry: Entry, unit: Span, index: number): Entry {
  return { ...entry, offset: unit.start, length: spanBytes(unit), index }
}

function rowOf({ raw, json, flat, reject, note }: Entry): StoredRow {
  return [raw, json ?? null, flat ?? null, reject ?? null, note === undefined ? null : bytesAsLatin1(note)]
}

function entryOf([raw, json, flat, reject, note]: StoredRow): Entry {
  return {
    offset: 0,
    length: 0,
    index: 0,
    raw,
    ...(json === null ? {} : { json }),
    ...(flat === null ? {} : { flat }),
    ...(reject === null || reject === undefined ? {} : { reject }),
    ...(note === null ? {} : { note: latin1AsText(note) }),
  }
}
