import { choosePipelines } from '../config/choose-pipelines.ts'
import { bySink, type ResolvedPipeline } from '../config/resolve.ts'
import { silentLogger } from '../reporting/logger.ts'
import { ContainerStorage } from '../run/tailrace.ts'
import { lookAtDelta } from '../sinks/delta/inspect.ts'
import { lookingAttempts } from '../sinks/delta/storage/open.ts'
import { withEngine } from '../sinks/encoding/engine-session.ts'
import type { LookedTable } from '../sinks/table-inspection.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { retryingReader } from '../sources/readers/observed-reader.ts'
import type { CommandContext } from './command.ts'

/** One pipeline as its table knows it, with what is needed to look further. */
export interface LandedPipeline {
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly reader: BlobReader
  readonly table: LookedTable
}

/**
 * Looks at each pipeline's table and storage, one after the other, and changes neither them nor the staging files
 * of a pipeline that runs at the same time.
 *
 * @throws USAGE when there is no pipeline `only`
 */
export async function forEachPipeline(
  context: CommandContext,
  only: string | undefined,
  look: (landed: LandedPipeline) => Promise<void>,
): Promise<void> {
  const { config, clock } = context
  const storage = new ContainerStorage(config.stateDirectory, false, clock, silentLogger)
  try {
    await forEachTable(context, only, async (looked) => {
      const reader = retryingReader(await storage.reader(looked.pipeline.source), {
        policy: { maxAttempts: lookingAttempts },
        clock,
      })
      await look({ ...looked, reader })
    })
  } finally {
    await storage.stop()
  }
}

/**
 * Looks at each pipeline's table alone.
 *
 * @throws USAGE when there is no pipeline `only`
 */
export async function forEachTable(
  context: CommandContext,
  only: string | undefined,
  look: (looked: Pick<LandedPipeline, 'name' | 'pipeline' | 'table'>) => Promise<void>,
): Promise<void> {
  await withEngine(async (engine, temporaryDirectory) => {
    for (const [name, pipeline] of choosePipelines(context.config, only)) {
      const table = await bySink(pipeline, {
        delta: (one) => lookAtDelta(name, one, context, { engine, temporaryDirectory }),
        databricks: async (one) => {
          // Loaded here because the driver is large, and most configs do without.
          const { lookAtDatabricks } = await import('../sinks/databricks/inspect.ts')
          return lookAtDatabricks(name, one, context)
        },
      })
      try {
        await look({ name, pipeline, table })
      } finally {
        await table.close()
      }
    }
  })
}
