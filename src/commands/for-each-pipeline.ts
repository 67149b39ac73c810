import { choosePipelines } from '../config/choose-pipelines.ts'
import { type ResolvedPipeline, sinkTarget } from '../config/resolve.ts'
import { silentLogger } from '../reporting/logger.ts'
import { interactiveRetry } from '../retry.ts'
import { ContainerStorage } from '../run/tailrace.ts'
import type { TableInspection } from '../sinks/sink.ts'
import { sinkOf } from '../sinks/sinks.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { retryingReader } from '../sources/readers/observed-reader.ts'
import type { CommandContext } from './command.ts'

/** One pipeline as its table knows it, with what is needed to look further. */
export interface LandedPipeline {
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly reader: BlobReader
  readonly table: TableInspection
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
        policy: interactiveRetry,
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
  const { config, clock, logger } = context
  const { stateDirectory } = config
  for (const [name, pipeline] of choosePipelines(config, only)) {
    const target = sinkTarget(name, pipeline)
    const table = await sinkOf(pipeline).inspect({ target, stateDirectory, clock, logger })
    try {
      await look({ name, pipeline, table })
    } finally {
      await table.close()
    }
  }
}
