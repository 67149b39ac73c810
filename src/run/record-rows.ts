import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ResolvedPipeline } from '../config/resolved.ts'
import { withStateErrors } from '../offsets/state-files.ts'
import { SpoolEncoder } from '../sinks/encoding/encoder.ts'
import { EmbeddedEngine, type JsonRow, parquetSql } from '../sinks/encoding/engine.ts'
import { customStages } from '../streams/custom/custom-stages.ts'
import { Staging } from '../streams/staging/staging.ts'
import { batchLines } from './batch-lines.ts'

/**
 * Sends lines through the stages of a pipeline and its encoder, without its source and its table.
 *
 * @param bytes complete lines
 * @returns the rows that a run would land, in the order of their lines
 * @throws ENCODE_FAILED, TRANSFORM_HELD_RECORD, and the error of a stream that cannot be made
 */
export async function recordRows(
  name: string,
  { transforms, table }: Pick<ResolvedPipeline, 'transforms' | 'table'>,
  bytes: Buffer,
): Promise<readonly JsonRow[]> {
  const directory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-test-')))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  try {
    const staging = new Staging(directory, 0)
    const encoder = new SpoolEncoder({
      engine,
      declaration: table,
      outputDirectory: directory,
      files: 'whole',
    })
    const paths: string[] = []
    await batchLines(bytes, {
      blob: 'tests/records',
      staging,
      customStages: customStages(transforms, name),
      onBatch: async (batch) => {
        if (batch.rows === 0) return
        for (const { path } of (await encoder.encode(batch)).files) paths.push(path)
      },
    })
    if (paths.length === 0) return []
    return await engine.rows(`FROM ${parquetSql(paths)} ORDER BY source_offset, source_index`)
  } finally {
    await engine.close()
    await rm(directory, { recursive: true, force: true })
  }
}
