import { choosePipelines } from '../choose-pipelines.ts'
import { silentLogger } from '../logger.ts'
import { type ResolvedPipeline, tableDirectory } from '../resolve-config.ts'
import { LocalDeltaStorage } from '../sinks/delta/local-delta-storage.ts'
import { committedOffsets } from '../sinks/delta/offset-transactions.ts'
import { loadState } from '../sinks/delta/table-log.ts'
import type { TableState } from '../sinks/delta/table-state.ts'
import type { EmbeddedEngine } from '../sinks/duckdb.ts'
import type { CommittedOffset } from '../sinks/table-committer.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { retryingReader } from '../sources/retrying-reader.ts'
import { ContainerStorage } from '../tailrace.ts'
import type { CommandContext } from './command.ts'
import { withEngine } from './with-engine.ts'

/** A command that only looks gives up in the end, unlike a run, which waits out any outage. */
const maxAttempts = 5

/** One pipeline as its table knows it, with what is needed to look further. */
export interface LandedPipeline {
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly engine: EmbeddedEngine
  readonly reader: BlobReader
  /** The table's newest version as of now, without its files; undefined when no run has created it yet. */
  readonly table: TableState | undefined
  /** The newest generation of each blob comes last. */
  readonly generations: readonly CommittedOffset[]
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
    await withEngine(async (engine) => {
      for (const [name, pipeline] of chosen) {
        const directory = tableDirectory(pipeline)
        const table = await loadState(new LocalDeltaStorage(directory), engine, { keepFiles: false })
        if (table === undefined) {
          logger.warn({ pipeline: name, table: directory }, 'there is no table yet: a run creates it')
        }
        await look({
          name,
          pipeline,
          engine,
          reader: retryingReader(await storage.reader(pipeline.source), { policy: { maxAttempts }, clock }),
          table,
          generations: table === undefined ? [] : [...committedOffsets(table, name).values()],
        })
      }
    })
  } finally {
    await storage.stop()
  }
}
