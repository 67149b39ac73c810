import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lastPartOf, sentMarkName } from './staged-files.ts'
import type { VolumeStaging } from './volume-staging.ts'

export interface SentMarksOptions {
  /** The pipeline's folder in the volume. */
  readonly staging: VolumeStaging
  /** A directory on this machine that uploads may come from. */
  readonly directory: string
  readonly nowMs: () => number
}

/**
 * Small files beside those of batches, each put before a statement is sent whose files are older: those of units may be days
 * old, and those of a batch become so while the warehouse cannot be reached. After the loss of the offset file,
 * `StagedFiles.newestMs` finds a file or a mark, and so how long such a statement may still run.
 */
export class SentMarks {
  readonly #options: SentMarksOptions

  constructor(options: SentMarksOptions) {
    this.#options = options
  }

  /** Says that the load of a batch is about to be sent. The mark expires as the files of batches do. */
  async put(batch: string): Promise<void> {
    const { staging, directory, nowMs } = this.#options
    const name = sentMarkName(batch, nowMs())
    const path = join(directory, lastPartOf(name))
    try {
      // Not empty, because a service may take an upload without bytes for one that broke off.
      await writeFile(path, `${batch}\n`)
      await staging.put(name, path)
    } finally {
      await rm(path, { force: true })
    }
  }
}
