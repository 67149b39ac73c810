import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { writeDurably } from '../offsets/durable-write.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

const schema = z.array(
  z.object({
    blob: z.string(),
    code: z.string(),
    reason: z.string(),
    failures: z.number(),
    sinceMs: z.number(),
    untilMs: z.number(),
  }),
)

/** Tells other processes which blobs a running pipeline has set aside: `<state>/<pipeline>.set-aside.json`. */
export class SetAsideFile {
  readonly path: string
  #writing: Promise<void> = Promise.resolve()

  constructor(stateDirectory: string, pipeline: string) {
    this.path = join(stateDirectory, `${pipeline}.set-aside.json`)
  }

  /** Replaces the list; an empty one removes the file. Calls take effect in their order. */
  write(blobs: readonly SetAsideBlob[]): Promise<void> {
    const replace = async (): Promise<void> => {
      if (blobs.length === 0) return rm(this.path, { force: true })
      await mkdir(dirname(this.path), { recursive: true })
      await writeDurably(this.path, `${JSON.stringify(blobs, null, 2)}\n`)
    }
    this.#writing = this.#writing.then(replace, replace)
    return this.#writing
  }

  /** Resolves when all that was asked to be written is; failures are those of `write`. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => {})
  }

  /** @returns none when there is no file, or one that this did not write: it is no more than a message */
  async read(): Promise<readonly SetAsideBlob[]> {
    try {
      return schema.parse(JSON.parse(await readFile(this.path, 'utf8')))
    } catch {
      return []
    }
  }
}
