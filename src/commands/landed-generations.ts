import { silentLogger } from '../logger.ts'
import { PipelineResources } from '../pipeline-resources.ts'
import type { CommittedOffset } from '../sinks/table-committer.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { retryingReader } from '../sources/retrying-reader.ts'
import { ContainerStorage } from '../tailrace.ts'
import type { CommandContext } from './command.ts'

/** A command that only looks gives up in the end, unlike a run, which waits out any outage. */
const maxAttempts = 5

/** One pipeline as its table knows it, with what is needed to look further. */
export interface LandedPipeline {
  readonly name: string
  readonly resources: PipelineResources
  readonly reader: BlobReader
  /** The newest generation of each blob comes last. */
  readonly generations: readonly CommittedOffset[]
}

/** Opens each pipeline's table and storage, one after the other, for a command that only looks. */
export async function forEachPipeline(
  { config, clock, logger }: CommandContext,
  only: string | undefined,
  look: (pipeline: LandedPipeline) => Promise<void>,
): Promise<void> {
  const storage = new ContainerStorage(config.stateDirectory, false, clock, silentLogger)
  try {
    for (const [name, pipeline] of Object.entries(config.pipelines)) {
      if (only !== undefined && name !== only) continue
      const resources = await PipelineResources.open({
        name,
        config: pipeline,
        shared: config,
        clock,
        logger,
      })
      try {
        await look({
          name,
          resources,
          reader: retryingReader(await storage.reader(pipeline.source), { policy: { maxAttempts }, clock }),
          generations: [...resources.committer.committed().values()],
        })
      } finally {
        await resources.close()
      }
    }
  } finally {
    await storage.stop()
  }
}
