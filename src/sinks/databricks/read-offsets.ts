import { isTailraceError } from '../../errors.ts'
import { OffsetFile, type OffsetFileContent } from '../../offsets/offset-file.ts'
import type { SinkContext } from '../sink.ts'
import { type DatabricksOptions, hasOffsetsInRows, tableId } from './options.ts'

/** @returns undefined when there is none, and where the rows can stand in for one that is unusable */
export async function readOffsets({
  target,
  stateDirectory,
  logger,
}: SinkContext<DatabricksOptions>): Promise<OffsetFileContent | undefined> {
  const { name } = target
  const store = new OffsetFile({
    stateDirectory,
    pipeline: name,
    table: tableId(target),
  })
  try {
    return await store.read()
  } catch (error) {
    if (!isTailraceError(error, 'OFFSET_FILE_CORRUPT') || !hasOffsetsInRows(target.sink)) throw error
    logger.warn({ err: error, pipeline: name }, 'the offset file is unusable')
    return undefined
  }
}
