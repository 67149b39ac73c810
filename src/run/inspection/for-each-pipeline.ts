import type { Clock } from '../../clock.ts'
import { choosePipelines } from '../../config/choose-pipelines.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from '../../config/resolved.ts'
import { OffsetFile } from '../../offsets/offset-file.ts'
import { type BlobGeneration, type GenerationMark, generationKey, lastCreatedAt } from '../../records.ts'
import { type Logger, silentLogger } from '../../reporting/logger.ts'
import { interactiveRetry } from '../../retry.ts'
import type { TableInspection } from '../../sinks/sink.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import { retryingReader } from '../../sources/readers/observed-reader.ts'
import { ContainerStorage } from '../container-storage.ts'

/** What an inspection needs of its process. */
export interface InspectionContext {
  readonly config: ResolvedConfig
  readonly clock: Clock
  readonly logger: Logger
}

/** One pipeline, with read access to its source and its table. */
export interface InspectedPipeline {
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly reader: BlobReader
  readonly table: TableInspection
}

/**
 * Calls `inspect` for each pipeline in turn, with read access to its source and its table. The table, the storage and the
 * staging files stay unchanged, so the pipelines may be running.
 *
 * @param signal ends the requests
 * @throws USAGE when there is no pipeline `only`
 */
export async function forEachPipeline(
  context: InspectionContext,
  only: string | undefined,
  inspect: (pipeline: InspectedPipeline) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { config, clock } = context
  const storage = new ContainerStorage(config.stateDirectory, false, clock, silentLogger)
  try {
    const inspectBoth = async (inspected: Omit<InspectedPipeline, 'reader'>): Promise<void> => {
      const reader = retryingReader(await storage.reader(inspected.pipeline.source), {
        policy: interactiveRetry,
        signal,
        clock,
      })
      await inspect({ ...inspected, reader })
    }
    await forEachTable(context, only, inspectBoth, signal)
  } finally {
    await storage.stop()
  }
}

/**
 * Calls `inspect` for each pipeline in turn, with read access to its table only.
 *
 * @param signal ends the requests
 * @throws USAGE when there is no pipeline `only`
 */
export async function forEachTable(
  context: InspectionContext,
  only: string | undefined,
  inspect: (pipeline: Omit<InspectedPipeline, 'reader'>) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { config, clock, logger } = context
  const { stateDirectory } = config
  for (const [name, pipeline] of choosePipelines(config, only)) {
    const target = sinkTarget(name, pipeline)
    const table = await pipeline.sinkKind.inspect({ target, stateDirectory, signal, clock, logger })
    try {
      await inspect({ name, pipeline, table })
    } finally {
      await table.close()
    }
  }
}

/**
 * @returns a function from a generation to the creation instant that its blob was last seen with
 *
 * It comes from the offset file, or from the mark that the archive has.
 */
export async function creationInstants(
  config: Pick<ResolvedConfig, 'stateDirectory'>,
  inspected: Pick<InspectedPipeline, 'name' | 'pipeline'>,
): Promise<(source: BlobGeneration & { readonly mark?: GenerationMark | undefined }) => string> {
  const marks = await storedMarks(config, inspected)
  return (source) => lastCreatedAt(source, marks.get(generationKey(source)) ?? source.mark)
}

/** Reads how the generations in a pipeline's offset file are recognized, by `generationKey`. */
export async function storedMarks(
  { stateDirectory }: Pick<ResolvedConfig, 'stateDirectory'>,
  { name, pipeline }: Pick<InspectedPipeline, 'name' | 'pipeline'>,
): Promise<Map<string, GenerationMark>> {
  const offsetFile = new OffsetFile({
    stateDirectory,
    pipeline: name,
    table: pipeline.sinkKind.offsetsTable(pipeline),
  })
  return new Map((await offsetFile.readMarks()).map((mark) => [generationKey(mark), mark]))
}
