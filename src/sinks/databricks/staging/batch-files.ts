import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import type { WrittenFile } from '../../encoding/engine.ts'
import { batchFileName } from './staged-files.ts'
import type { VolumeStaging } from './volume-staging.ts'

/** The uploaded files of one batch. */
export interface StagedBatch {
  readonly id: string
  /** Full paths in the volume, all in one folder. */
  readonly paths: readonly string[]
}

/**
 * Uploads the files of one batch after the other, each once and under a name of its own. A batch that is landed again
 * after a failure keeps its id and its files, which a statement of the failed attempt may still be reading.
 */
export class BatchFiles {
  readonly #staging: VolumeStaging
  readonly #clock: Clock
  #files: readonly WrittenFile[] | undefined
  #id = ''
  #names: readonly string[] = []
  readonly #staged = new Set<string>()

  constructor(staging: VolumeStaging, clock: Clock) {
    this.#staging = staging
    this.#clock = clock
  }

  /** The names of the current batch's files, which must not be removed. */
  get held(): readonly string[] {
    return this.#names
  }

  /** @param files the same array for each attempt to land the batch */
  async stage(files: readonly WrittenFile[]): Promise<StagedBatch> {
    if (files !== this.#files) this.#begin(files)
    for (const [index, name] of this.#names.entries()) {
      const path = files[index]?.path
      if (path === undefined || this.#staged.has(name)) continue
      await this.#staging.put(name, path)
      this.#staged.add(name)
    }
    return { id: this.#id, paths: this.#names.map((name) => this.pathOf(name)) }
  }

  /** @returns the full path in the volume of a file below the staging folder */
  pathOf(name: string): string {
    return `${this.#staging.folder}/${name}`
  }

  /** Forgets the current batch: the same files are then a new batch. */
  forget(): void {
    this.#files = undefined
    this.#names = []
    this.#staged.clear()
  }

  #begin(files: readonly WrittenFile[]): void {
    const nowMs = this.#clock.now()
    this.#files = files
    this.#id = randomUUID()
    this.#names = files.map((_file, index) => batchFileName(this.#id, index, nowMs))
    this.#staged.clear()
  }
}
