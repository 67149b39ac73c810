import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../../../clock.ts'
import type { EncodedBatch, StoredFile, WrittenUnit } from '../../table-committer.ts'
import { folderOf, type StagedFiles, stagedFileName } from './staged-files.ts'
import type { VolumeStaging } from './volume-staging.ts'

const storedUnitFile = z.object({ name: z.string(), bytes: z.number() })

/** The files of units that are written in the volume and not committed yet: in a folder of their own. */
export class UnitFiles {
  readonly #staging: VolumeStaging
  readonly #expired: Pick<StagedFiles, 'removeExpired' | 'reportingFailure'>
  readonly #clock: Clock

  /** @param options.expired removes files that no commit has named for long, and reports failures */
  constructor(options: {
    readonly staging: VolumeStaging
    readonly expired: Pick<StagedFiles, 'removeExpired' | 'reportingFailure'>
    readonly clock: Clock
  }) {
    this.#staging = options.staging
    this.#expired = options.expired
    this.#clock = options.clock
  }

  /** @returns the files as a manifest has them */
  async store(encoded: readonly EncodedBatch[]): Promise<readonly StoredFile[]> {
    const id = randomUUID()
    const stored: StoredFile[] = []
    for (const [index, { path, bytes }] of encoded.flatMap(({ files }) => files).entries()) {
      const name = stagedFileName(id, index, this.#clock.now())
      await this.#staging.put(name, path)
      stored.push({ name, bytes })
    }
    return stored
  }

  /** The paths in the volume of a unit's files, which `missing` has checked. */
  pathsOf({ files }: WrittenUnit): readonly string[] {
    return files.map((file) => `${this.#staging.folder}/${storedUnitFile.parse(file).name}`)
  }

  /** @returns why units cannot be landed, because their files are not there, as sentences */
  async missing(units: readonly WrittenUnit[]): Promise<ReadonlyMap<WrittenUnit, string>> {
    const folders = new Map<string, ReadonlyMap<string, number>>()
    const sizesIn = async (folder: string): Promise<ReadonlyMap<string, number>> => {
      const known = folders.get(folder)
      if (known !== undefined) return known
      const { files } = await this.#staging.list(folder)
      const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]))
      folders.set(folder, sizes)
      return sizes
    }
    const refusals = new Map<WrittenUnit, string>()
    for (const unit of units) {
      for (const file of unit.files) {
        const { data } = storedUnitFile.safeParse(file)
        if (data === undefined) refusals.set(unit, 'the unit has a file of another kind of table')
        else if ((await sizesIn(folderOf(data.name))).get(data.name) !== data.bytes)
          refusals.set(unit, `its file ${data.name} is no longer there: write the unit again`)
      }
    }
    return refusals
  }

  /**
   * Removes the files of units that are landed, and those that nobody has landed for long. Failures are reported and not
   * thrown: the units have landed.
   */
  async tidy(landed: readonly WrittenUnit[]): Promise<void> {
    await this.#expired.reportingFailure(async () => {
      for (const { files } of landed)
        for (const file of files) await this.#staging.remove(storedUnitFile.parse(file).name)
    })
    await this.#expired.removeExpired()
  }
}
