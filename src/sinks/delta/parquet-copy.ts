import { rm } from 'node:fs/promises'
import { type EmbeddedEngine, sqlString, type WrittenFile } from '../duckdb.ts'
import { isOutOfMemory } from '../encoder-errors.ts'
import { carefulSettings, parquetOptions } from '../part-writer.ts'

/** The default limit of a line: what the rows of a file that does not fit in the usual memory are taken for. */
const longestUsualRowBytes = 16 * 1024 * 1024

/**
 * Writes rows that are in the table already as one Parquet file like the encoder's.
 *
 * @param select SQL of the rows
 * @returns undefined when there is no row
 * @throws the engine's error, and the signal's reason: nothing is left behind then
 */
export async function writeCopy(
  select: string,
  target: string,
  engine: EmbeddedEngine,
  signal?: AbortSignal,
): Promise<WrittenFile | undefined> {
  const write = () => engine.copy(`COPY (${select}) TO ${sqlString(target)} (${parquetOptions})`, signal)
  try {
    const [written] = await write().catch((error: unknown) => {
      if (isOutOfMemory(error)) return engine.withSettings(carefulSettings(longestUsualRowBytes), write)
      throw error
    })
    return written
  } catch (error) {
    await rm(target, { force: true })
    throw error
  }
}
