import { TailraceError } from '../../errors.ts'
import type { OpenSink } from '../sink.ts'
import type { LoadLedger } from './loading/row-loader.ts'
import type { DatabricksOptions } from './options.ts'
import { StagedFiles, type StagedFilesOptions } from './staging/staged-files.ts'
import { stagingBelow } from './staging/staging-below.ts'
import { UnitFiles, unitsFolder } from './staging/unit-files.ts'
import type { VolumeStaging } from './staging/volume-staging.ts'

/** Manifests are good for as long as those of a Delta table by default. */
const unitRetentionMs = 7 * 24 * 3_600_000

/** @param held the names of the files that must not be removed */
export function stagedFilesOf(
  { target, clock, logger }: Pick<OpenSink<DatabricksOptions>, 'target' | 'clock' | 'logger'>,
  staging: VolumeStaging,
  held: () => readonly string[],
  ingested?: StagedFilesOptions['ingested'],
): StagedFiles {
  return new StagedFiles({
    staging,
    retentionMs: target.sink.stagedRetentionMs,
    held,
    ingested,
    clock,
    onFailed: (error) => logger.warn({ err: error }, 'staged files could not be removed'),
  })
}

/** @throws CONFIG_INVALID without a volume, where a mode stages files */
export function requireStaging(staging: VolumeStaging | undefined, mode: string): VolumeStaging {
  if (staging !== undefined) return staging
  throw new TailraceError('CONFIG_INVALID', `sink.volume is missing, where mode ${mode} stages files.`)
}

/** @returns the names of the files of loads that have not ended: those of an unclear one are its evidence */
export function intendedFiles({
  intent,
  unsettled,
}: Pick<LoadLedger, 'intent' | 'unsettled'>): readonly string[] {
  return [intent, ...unsettled].flatMap((one) => one?.files.map(({ name }) => name) ?? [])
}

/** @param all the pipeline's folder in the volume */
export function unitFilesOf(
  { offsets, clock, logger }: Pick<OpenSink<DatabricksOptions>, 'offsets' | 'clock' | 'logger'>,
  all: VolumeStaging,
): UnitFiles {
  const staging = stagingBelow(all, unitsFolder)
  const within = `${unitsFolder}/`
  const expired = new StagedFiles({
    staging,
    retentionMs: unitRetentionMs,
    held: () =>
      intendedFiles(offsets).flatMap((name) => (name.startsWith(within) ? [name.slice(within.length)] : [])),
    clock,
    onFailed: (error) => logger.warn({ err: error }, 'files of units could not be removed'),
  })
  return new UnitFiles({ staging, expired, clock })
}
