import { readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeDurably } from './offset-file.ts'
import { makeDirectory, withStateErrors } from './state-files.ts'

/** A small JSON file by which a running pipeline lets `tailrace status` of another process know how it is. */
export class StateNote<Note> {
  readonly path: string
  #parse: (json: unknown) => Note
  #writing: Promise<void> = Promise.resolve()

  /** @param parse throws for what is no such note */
  constructor(path: string, parse: (json: unknown) => Note) {
    this.path = path
    this.#parse = parse
  }

  /** Replaces the note; undefined removes the file. Calls take effect in their order. */
  write(note: Note | undefined): Promise<void> {
    const replace = (): Promise<void> =>
      withStateErrors(this.path, async () => {
        if (note === undefined) return rm(this.path, { force: true })
        await makeDirectory(dirname(this.path))
        await writeDurably(this.path, `${JSON.stringify(note, null, 2)}\n`)
      })
    this.#writing = this.#writing.then(replace, replace)
    return this.#writing
  }

  /** Resolves when all that was asked to be written is; failures are those of `write`. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => {})
  }

  /** @returns undefined when there is no file, or one that this did not write: it is no more than a message */
  async read(): Promise<Note | undefined> {
    try {
      return this.#parse(JSON.parse(await readFile(this.path, 'utf8')))
    } catch {
      return undefined
    }
  }
}
