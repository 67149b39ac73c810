import type { Clock } from '../../../../src/clock.ts'
import type { BlobGeneration, GenerationMark } from '../../../../src/records.ts'
import { ParquetArchiveFiles } from '../../../../src/sinks/delta/archive/parquet-archive-files.ts'
import {
  type ArchiveReport,
  archiveOffsets,
} from '../../../../src/sinks/delta/maintenance/archive-offsets.ts'
import type { UnmarkedOffsets } from '../../../../src/sinks/delta/pipeline-offsets.ts'
import type { DeltaStorage } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { impatientClock, type Workbench } from '../support.ts'

export interface ArchiveOverrides {
  readonly storage?: DeltaStorage
  readonly clock?: Clock
  readonly unchangedMs?: number
  readonly minOffsets?: number
  readonly unmarked?: UnmarkedOffsets | undefined
  readonly markOf?: (source: BlobGeneration) => GenerationMark | undefined
}

/** Moves the offsets of a table into its archive; by default all of them. */
export function archive(
  bench: Workbench,
  { storage = bench.storage, markOf = () => undefined, ...overrides }: ArchiveOverrides = {},
): Promise<ArchiveReport | undefined> {
  const { engine, staging: stagingDirectory } = bench
  return archiveOffsets({
    storage,
    engine,
    files: new ParquetArchiveFiles({ storage, engine, stagingDirectory }),
    clock: impatientClock,
    random: Math.random,
    unchangedMs: 0,
    minOffsets: 1,
    markOf,
    ...overrides,
  })
}
