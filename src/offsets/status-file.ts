import { readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SerialQueue } from './serial-queue.ts'
import { makeDirectory, withStateErrors, writeDurably } from './state-files.ts'

/** A small JSON file in which a running pipeline reports a condition to `tailrace status`, which is another process. */
export class StatusFile<Content> {
  readonly path: string
  #parse: (json: unknown) => Content
  #writes = new SerialQueue()

  /** @param parse throws for JSON of another shape */
  constructor(path: string, parse: (json: unknown) => Content) {
    this.path = path
    this.#parse = parse
  }

  /** Replaces the content; `undefined` removes the file. Calls take effect in their order. */
  write(content: Content | undefined): Promise<void> {
    return this.#writes.run(() =>
      withStateErrors(this.path, async () => {
        if (content === undefined) return rm(this.path, { force: true })
        await makeDirectory(dirname(this.path))
        await writeDurably(this.path, `${JSON.stringify(content, null, 2)}\n`)
      }),
    )
  }

  /** Resolves when all writes requested so far have ended, successful or not. */
  settled(): Promise<void> {
    return this.#writes.idle()
  }

  /** @returns undefined for a missing, unreadable or foreign file: no decision depends on it */
  async read(): Promise<Content | undefined> {
    try {
      return this.#parse(JSON.parse(await readFile(this.path, 'utf8')))
    } catch {
      return undefined
    }
  }
}
