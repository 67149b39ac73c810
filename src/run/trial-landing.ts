import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from '../config/resolved.ts'
import { withStateErrors } from '../offsets/state-files.ts'
import type { Logger } from '../reporting/logger.ts'
import type { SetupOf, Sink, TableInspection } from '../sinks/sink.ts'
import { batchLines } from './batch-lines.ts'
import { withResources } from './resources.ts'

export interface NotedOptions {
  /** The pipeline's name: its staging folder is used. */
  readonly name: string
  readonly pipeline: ResolvedPipeline
  readonly disk: ResolvedConfig['disk']
  /** Lines, each with its newline. */
  readonly bytes: Buffer
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

export interface TrialOptions extends NotedOptions {
  /** The scratch table, in place of the pipeline's; it is created. */
  readonly table: ResolvedPipeline['table']['name']
}

/**
 * Lands lines in a scratch table by the encoder and the sink of a pipeline, without its source, its transforms and its
 * state directory. The caller removes the table.
 *
 * @returns the rows that the table then has; undefined where another system fills it
 * @throws every error that a run of the pipeline may end with
 */
export async function landTrial({ table, ...options }: TrialOptions): Promise<number | undefined> {
  const { name, signal, clock, logger } = options
  const pipeline = { ...options.pipeline, table: { ...options.pipeline.table, name: table } }
  return landApart({ ...options, pipeline }, async (stateDirectory) => {
    const target = sinkTarget(name, pipeline)
    const inspection = await pipeline.sinkKind.inspect({ target, stateDirectory, signal, clock, logger })
    try {
      return await shownRows(inspection, clock, signal)
    } finally {
      await inspection.close()
    }
  })
}

/** Notes every statement and request that lands lines in the table of a pipeline for the first time, and sends none. */
export async function noteLanding(
  options: NotedOptions,
  setup: SetupOf,
  note: (step: string) => void,
): Promise<void> {
  const { sinkKind } = options.pipeline
  const noting: Sink = { ...sinkKind, open: (context) => setup.openNoting(context, note) }
  await landApart({ ...options, pipeline: { ...options.pipeline, sinkKind: noting } }, async () => {})
}

/** Lands lines with a state directory of its own, which is removed after the work that follows. */
async function landApart<Result>(
  { name, pipeline, disk, bytes, signal, clock, logger }: NotedOptions,
  then: (stateDirectory: string) => Promise<Result>,
): Promise<Result> {
  const stateDirectory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-check-')))
  try {
    const opening = { name, config: pipeline, shared: { stateDirectory, disk }, signal, clock, logger }
    await withResources(opening, async (resources) => {
      await batchLines(bytes, {
        blob: 'tailrace/check',
        staging: resources.staging,
        onBatch: async (batch) => {
          await resources.committer.land(batch.spans, await resources.encoder.encode(batch))
        },
      })
    })
    return await then(stateDirectory)
  } finally {
    await rm(stateDirectory, { recursive: true, force: true })
  }
}

async function shownRows(
  inspection: TableInspection,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const untilMs = clock.now() + (inspection.showsWithinMs ?? 0)
  for (;;) {
    const counts = await (await inspection.rows())?.counts()
    const shown = counts?.reduce((sum, { rows }) => sum + rows, 0)
    if (shown !== 0 || clock.now() >= untilMs) return shown
    await clock.sleep(1_000, signal)
  }
}
