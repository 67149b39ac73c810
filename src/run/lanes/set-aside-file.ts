import { join } from 'node:path'
import { StatusFile } from '../../offsets/status-file.ts'
import { z } from '../../zod.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

const schema = z.array(
  z.object({
    blob: z.string(),
    code: z.string(),
    reason: z.string(),
    failures: z.number(),
    sinceMs: z.number(),
    untilMs: z.number().optional(),
  }),
)

/** The blobs that a running pipeline has set aside, for `tailrace status` of another process: `<state>/<pipeline>.set-aside.json`. */
export class SetAsideFile {
  readonly #file: StatusFile<readonly SetAsideBlob[]>

  constructor(stateDirectory: string, pipeline: string) {
    const path = join(stateDirectory, `${pipeline}.set-aside.json`)
    this.#file = new StatusFile(path, (json) => schema.parse(json))
  }

  get path(): string {
    return this.#file.path
  }

  /** Replaces the list; an empty one removes the file. Calls take effect in order. */
  write(blobs: readonly SetAsideBlob[]): Promise<void> {
    return this.#file.write(blobs.length === 0 ? undefined : blobs)
  }

  settled(): Promise<void> {
    return this.#file.settled()
  }

  async read(): Promise<readonly SetAsideBlob[]> {
    return (await this.#file.read()) ?? []
  }
}
