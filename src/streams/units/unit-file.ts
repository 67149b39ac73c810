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

/** What precedes the texts of an entry in the file. */
interface EntryHead extends Pick<Entry, 'form' | 'reject'> {
  readonly rawBytes: number
  readonly jsonBytes?: number | undefined
  /** UTF-8 bytes, one character per byte, as the texts. */
  readonly note?: string | undefined
}

const newline = 0x0a

/** Maximum size of one write. */
const maxWriteBytes = 1024 * 1024

/**
 * The staging file that holds the entries of a large unit until the unit is complete.
 *
 * An entry is a line of JSON and then its texts, which are copied as they are: quoted, those of 16 MiB would take several
 * times their length. Each call of `append` is read back as one slice, so the caller bounds a slice's size.
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
    const start = this.#bytes
    for (const bytes of writesOf(entries.flatMap(textsOf))) {
      // Written at a fixed position: after a full volume, the repeated write overwrites the partial one.
      await this.#withSpace(() => writeAt(this.#file, bytes, this.#bytes))
      this.#bytes += bytes.length
    }
    this.#sliceBytes.push(this.#bytes - start)
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
      const entries = entriesOf(slice).map((entry) => placed(entry, unit, index++))
      yield entries
    }
  }
}

/** @returns the entry with its final place: the span of its unit and its index in the unit */
export function placed(entry: Entry, unit: Span, index: number): Entry {
  return { ...entry, offset: unit.start, length: spanBytes(unit), index }
}

function textsOf({ raw, json, form, reject, note }: Entry): readonly string[] {
  const head: EntryHead = {
    rawBytes: raw.length,
    jsonBytes: json?.length,
    form,
    reject,
    note: note && bytesAsLatin1(note),
  }
  return [`${JSON.stringify(head)}\n`, raw, json ?? '']
}

/** Joins short texts and cuts long ones, so that a write is neither tiny nor a copy of a long text. */
function* writesOf(texts: readonly string[]): Generator<Buffer> {
  let held: string[] = []
  let heldBytes = 0
  for (const text of texts) {
    for (let from = 0; from < text.length; from += maxWriteBytes) {
      const piece = text.slice(from, from + maxWriteBytes)
      held.push(piece)
      heldBytes += piece.length
      if (heldBytes < maxWriteBytes) continue
      yield Buffer.from(held.join(''), 'latin1')
      held = []
      heldBytes = 0
    }
  }
  if (heldBytes > 0) yield Buffer.from(held.join(''), 'latin1')
}

function entriesOf(slice: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < slice.length; ) {
    const end = slice.indexOf(newline, at)
    const { rawBytes, jsonBytes, note, ...rest } = JSON.parse(slice.toString('latin1', at, end)) as EntryHead
    const raw = slice.toString('latin1', end + 1, end + 1 + rawBytes)
    at = end + 1 + rawBytes + (jsonBytes ?? 0)
    const entry: Entry = { offset: 0, length: 0, index: 0, raw, ...rest }
    const noted = note === undefined ? entry : { ...entry, note: latin1AsText(note) }
    const json = jsonBytes === undefined ? undefined : slice.toString('latin1', at - jsonBytes, at)
    entries.push(json === undefined ? noted : { ...noted, json })
  }
  return entries
}
