import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline as connect } from 'node:stream/promises'
import type { Clock } from '../clock.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from '../config/resolved.ts'
import { withStateErrors } from '../offsets/state-files.ts'
import type { Batch, Chunk } from '../records.ts'
import type { Logger } from '../reporting/logger.ts'
import { Batcher } from '../streams/batcher.ts'
import { LineSplitter } from '../streams/line-splitter.ts'
import { RecordValidator } from '../streams/record-validator.ts'
import { openResources } from './resources.ts'

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
    const resources = await openResources({
      name,
      config,
      shared: { stateDirectory, disk },
      removeLeftovers: false,
      signal,
      clock,
      logger,
    })
    try {
      const land = async (batch: Batch): Promise<void> => {
        await resources.committer.land(batch.spans, await resources.encoder.encode(batch))
      }
      const span = { blob: 'tailrace/check', generation: '20260101T000000Z', start: 0, end: bytes.length }
      const chunk: Chunk = { span, bytes }
      await connect([
        Readable.from([chunk]),
        new LineSplitter(),
        new RecordValidator(),
        new Batcher({ staging: resources.staging }),
        new Writable({
          objectMode: true,
          write: (batch: Batch, _encoding, done) => void land(batch).then(() => done(), done),
        }),
      ])
    } finally {
      await resources.close()
    }
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
