import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from '../config/resolved.ts'
import { withStateErrors } from '../offsets/state-files.ts'
import type { Logger } from '../reporting/logger.ts'
import { batchLines } from './batch-lines.ts'
import { withResources } from './resources.ts'

export interface TrialOptions {
  /** The pipeline's name: its staging folder is used. */
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly disk: ResolvedConfig['disk']
  /** The scratch table, in place of the pipeline's; it is created. */
  readonly table: ResolvedPipeline['table']['name']
  /** Lines, each with its newline. */
  readonly bytes: Buffer
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Lands lines in a scratch table by the encoder and the sink of a pipeline, without its source, its transforms and its
 * state directory. The caller removes the table.
 *
 * @returns the rows that the table then has; undefined where another system fills it
 * @throws every error that a run of the pipeline may end with
 */
export async function landTrial(options: TrialOptions): Promise<number | undefined> {
  const { name, disk, bytes, signal, clock, logger } = options
  const config = { ...options.pipeline, table: { ...options.pipeline.table, name: options.table } }
  const stateDirectory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-check-')))
  try {
    const opening = { name, config, shared: { stateDirectory, disk }, signal, clock, logger }
    await withResources(opening, async (resources) => {
      await batchLines(bytes, {
        blob: 'tailrace/check',
        staging: resources.staging,
        onBatch: async (batch) => {
          await resources.committer.land(batch.spans, await resources.encoder.encode(batch))
        },
      })
    })
    const target = sinkTarget(name, config)
    const inspection = await config.sinkKind.inspect({ target, stateDirectory, signal, clock, logger })
    try {
      const counts = await (await inspection.rows())?.counts()
      return counts?.reduce((sum, { rows }) => sum + rows, 0)
    } finally {
      await inspection.close()
    }
  } finally {
    await rm(stateDirectory, { recursive: true, force: true })
  }
}
