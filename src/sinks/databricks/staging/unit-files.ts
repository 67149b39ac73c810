import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import type { IntendedFile } from '../../../offsets/load-intent.ts'
import { z } from '../../../zod.ts'
import type { EncodedBatch, StoredFile, WrittenUnit } from '../../table-committer.ts'
import type { StoredUnits } from '../loading/row-loader.ts'
import { folderOf, hourFolder, type StagedFiles } from './staged-files.ts'
import type { VolumeStaging } from './volume-staging.ts'

/** The folder of units in a pipeline's staging folder. */
export const unitsFolder = 'units'

/** Files that are removed at the same time. With `upload: 'put'` the warehouse removes one after the other all the same. */
const maxRemovals = 16

/** Longest time in which further removals begin, in milliseconds: a warehouse that only removes files costs money too. */
const maxRemovalMs = 600_000

const storedUnitFile = z.object({ name: z.string(), bytes: z.number(), rows: z.number() })

export interface UnitFilesOptions {
  /** The pipeline's folder `units` in the volume. */
  readonly staging: VolumeStaging
  /** Removes files that no commit has named for long, and reports failures. */
  readonly expired: Pick<StagedFiles, 'removeExpired' | 'reportingFailure'>
  readonly clock: Clock
}

/** The files of units that are written in the volume and not committed yet: in a folder of their own. */
export class UnitFiles implements StoredUnits {
  readonly #options: UnitFilesOptions
  /** One for all files that a process writes, because one COPY INTO loads files of one folder. */
  #folder: string | undefined

  constructor(options: UnitFilesOptions) {
    this.#options = options
  }

  /** @returns the files as a manifest has them */
  async store(encoded: readonly EncodedBatch[]): Promise<readonly StoredFile[]> {
    const { staging, clock } = this.#options
    this.#folder ??= hourFolder(clock.now())
    const id = randomUUID()
    const stored: StoredFile[] = []
    for (const [index, { path, bytes, rows }] of encoded.flatMap(({ files }) => files).entries()) {
      const name = `${this.#folder}/${id}-${index}.parquet`
      await staging.put(name, path)
      stored.push({ name, bytes, rows })
    }
    return stored
  }

  /** @returns the files of a unit, which `missing` has checked, by names below the pipeline's staging folder */
  filesOf({ files }: WrittenUnit): readonly IntendedFile[] {
    return files.map((file) => {
      const { name, ...rest } = storedUnitFile.parse(file)
      return { name: `${unitsFolder}/${name}`, ...rest }
    })
  }

  /** @returns why units cannot be landed, because their files are not there, as sentences */
  async missing(units: readonly WrittenUnit[]): Promise<ReadonlyMap<WrittenUnit, string>> {
    const { staging } = this.#options
    const folders = new Map<string, ReadonlyMap<string, number>>()
    const sizesIn = async (folder: string): Promise<ReadonlyMap<string, number>> => {
      const known = folders.get(folder)
      if (known !== undefined) return known
      const { files } = await staging.list(folder)
      const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]))
      folders.set(folder, sizes)
      return sizes
    }
    const refusals = new Map<WrittenUnit, string>()
    for (const unit of units) {
      for (const file of unit.files) {
        const { data } = storedUnitFile.safeParse(file)
        if (data === undefined) refusals.set(unit, 'the unit has a file of another kind of table')
        else if (!refusals.has(unit) && (await sizesIn(folderOf(data.name))).get(data.name) !== data.bytes)
          refusals.set(unit, `its file ${data.name} is no longer there: write the unit again`)
      }
    }
    return refusals
  }

  /**
   * Removes the files of units that are landed, for `maxRemovalMs` at most: the rest expires. Failures are reported and not
   * thrown: the units have landed.
   */
  async removeLanded(landed: readonly WrittenUnit[]): Promise<void> {
    const { staging, expired, clock } = this.#options
    const names = landed.flatMap(({ files }) => files.map((file) => storedUnitFile.parse(file).name))
    const endMs = clock.now() + maxRemovalMs
    await expired.reportingFailure(async () => {
      for (let from = 0; from < names.length && clock.now() < endMs; from += maxRemovals)
        await Promise.all(names.slice(from, from + maxRemovals).map((name) => staging.remove(name)))
    })
  }

  /** Removes the files that nobody has landed for long. Failures are reported and not thrown. */
  async removeExpired(): Promise<void> {
    await this.#options.expired.removeExpired()
  }
}
