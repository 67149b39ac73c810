import { FileOffsetStore } from '../offsets/file-offset-store.ts'
import { type BlobGeneration, generationKey, generationParts } from '../records.ts'
import { offsetsTable, type ResolvedConfig } from '../resolve-config.ts'
import type { LandedPipeline } from './landed-generations.ts'

/**
 * Under which creation instant each generation's blob was last seen.
 *
 * Only a generation that was copied has another one than its name says, and only the offset file knows; without the file
 * the name has to do.
 */
export async function creationInstants(
  { stateDirectory }: Pick<ResolvedConfig, 'stateDirectory'>,
  { name, pipeline }: Pick<LandedPipeline, 'name' | 'pipeline'>,
): Promise<(generation: BlobGeneration) => string> {
  const store = new FileOffsetStore({ stateDirectory, pipeline: name, table: offsetsTable(pipeline) })
  const marks = await store.readMarks()
  const instants = new Map(marks.map((mark) => [generationKey(mark), mark.createdAt]))
  return (source) => instants.get(generationKey(source)) ?? generationParts(source.generation)[0]
}
