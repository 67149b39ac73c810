import { choosePipelines } from '../choose-pipelines.ts'
import type { LandedOffset } from '../landed-offsets.ts'
import { silentLogger } from '../logger.ts'
import type { ResolvedPipeline } from '../resolve-config.ts'
import type { DeltaStorage } from '../sinks/delta/delta-storage.ts'
import { landedOffsets } from '../sinks/delta/offset-transactions.ts'
import { loadState } from '../sinks/delta/table-log.ts'
import type { TableState } from '../sinks/delta/table-state.ts'
import type { EmbeddedEngine } from '../sinks/duckdb.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { retryingReader } from '../sources/retrying-reader.ts'
import { ContainerStorage } from '../tailrace.ts'
import type { CommandContext } from './command.ts'
import { lookingAttempts, lookingStorage } from './looking-storage.ts'
import { withEngine } from './with-engine.ts'

/** One pipeline as its table knows it, with what is needed to look further. */
export interface LandedPipeline {
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly engine: EmbeddedEngine
  readonly storage: DeltaStorage
  readonly reader: BlobReader
  /** The table's newest version as of now, without its files; undefined when no run has created it yet. */
  readonly table: TableState | undefined
  /** The newest generation of each blob comes last. */
  readonly generations: readonly LandedOffset[]
}

/**
 * Looks at each pipeline's table and storage, one after the other, and changes neither them nor the staging files
 * of a pipeline that runs at the same time.
 *
 * @throws USAGE when there is no pipeline `only`
 */
export async function forEachPipeline(
  { config, clock, logger }: CommandContext,
  only: string | undefined,
  look: (landed: LandedPipeline) => Promise<void>,
): Promise<void> {
  const chosen = choosePipelines(config, only)
  const storage = new ContainerStorage(config.stateDirectory, false, clock, silentLogger)
  try {
    await withEngine(async (engine, temporaryDirectory) => {
      for (const [name, pipeline] of chosen) {
        const tableStorage = lookingStorage(pipeline, temporaryDirectory, clock)
        const table = await loadState(tableStorage, engine, { keepFiles: false })
        if (table === undefined) {
          logger.warn(
            { pipeline: name, table: tableStorage.location },
            'there is no table yet: a run creates it',
          )
        }
        await look({
          name,
          pipeline,
          engine,
          storage: tableStorage,
          reader: retryingReader(await storage.reader(pipeline.source), {
            policy: { maxAttempts: lookingAttempts },
            clock,
          }),
          table,
          generations: table === undefined ? [] : [...landedOffsets(table, name)],
        })
      }
    })
  } finally {
    await storage.stop()
  }
}
