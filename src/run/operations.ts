import { type Clock, systemClock } from '../clock.ts'
import { choosePipeline } from '../config/choose-pipelines.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import type { VerifyReport } from '../offsets/verify-report.ts'
import { type Logger, silentLogger } from '../reporting/logger.ts'
import type { RowBatch, TakeRows } from '../sinks/encoding/row-stream.ts'
import type { TableMoment } from '../sinks/query-session.ts'
import { ContainerStorage } from './container-storage.ts'
import { chooseEngine } from './inspection/choose-engine.ts'
import { readStatus, type StatusReport } from './inspection/status.ts'
import { verifyRows } from './inspection/verify.ts'
import { type ReplayReceipt, replay } from './replay.ts'

/** What the functions below take of their process. */
export interface OperationOptions {
  /** The name of one pipeline. Default: all. */
  readonly pipeline?: string | undefined
  /** Default: the machine's clock. */
  readonly clock?: Clock | undefined
  /** Default: no log. */
  readonly logger?: Logger | undefined
}

/**
 * Reads how far each blob has landed, as `tailrace status`. Nothing changes, so the pipelines may be running.
 *
 * @throws USAGE when there is no pipeline of that name
 */
export function statusOf(config: ResolvedConfig, options: OperationOptions = {}): Promise<StatusReport> {
  return readStatus(contextOf(config, options), options.pipeline)
}

/**
 * Proves that rows cover every committed byte, as `tailrace verify`. Nothing changes, so the pipelines may be running.
 *
 * @throws USAGE when there is no pipeline of that name
 */
export function verifyTables(config: ResolvedConfig, options: OperationOptions = {}): Promise<VerifyReport> {
  return verifyRows(contextOf(config, options), options.pipeline)
}

export interface QueryRowsOptions extends OperationOptions, TableMoment {
  /** Allow any statement, with the permissions of this process. Default: one statement that reads the tables. */
  readonly unsafe?: boolean | undefined
}

/** A row by column, with the values of `tailrace query --format ndjson`. */
export type QueryRow = Readonly<Record<string, unknown>>

/**
 * Runs one SQL statement over the tables of a config, as `tailrace query`, and yields its rows while they arrive.
 *
 * @throws USAGE, QUERY_FAILED, QUERY_REFUSED, STATEMENT_FAILED
 */
export async function* queryRows(
  config: ResolvedConfig,
  sql: string,
  options: QueryRowsOptions = {},
): AsyncGenerator<QueryRow> {
  const context = contextOf(config, options)
  const { ability, targets } = chooseEngine(context, options.pipeline)
  const { unsafe = false, version, timestampMs } = options
  const request = { ...context, sql, unsafe, moment: { version, timestampMs } }
  for await (const { columns, rows } of batchesOf((take) => ability.run(targets, { ...request, take }))) {
    for (const row of rows) yield Object.fromEntries(columns.map((column, index) => [column, row[index]]))
  }
}

/** Yields what `run` hands on. `run` goes on when a batch is consumed, and is stopped when no more are asked for. */
async function* batchesOf(run: (take: TakeRows) => Promise<void>): AsyncGenerator<RowBatch> {
  let offered: { readonly batch: RowBatch; readonly taken: (more: boolean) => void } | undefined
  let isOver = false
  let wake = (): void => {}
  const take: TakeRows = (batch) =>
    new Promise((taken) => {
      offered = { batch, taken }
      wake()
    })
  const running = run(take).finally(() => {
    isOver = true
    wake()
  })
  // Awaited below; until then a rejection must not count as unhandled.
  running.catch(() => {})
  try {
    while (!isOver) {
      if (offered === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      const { batch, taken } = offered
      yield batch
      offered = undefined
      taken(true)
    }
  } finally {
    offered?.taken(false)
    if (!isOver) await running.catch(() => {})
  }
  await running
}

/** A range of a blob to land again. */
export interface ReplayRange {
  readonly pipeline: string
  /** A blob name, with or without its container. */
  readonly blob: string
  /** Offset of a line's first byte. */
  readonly from: number
  /** Offset of a line's first byte. Default: the landed offset of the blob. */
  readonly to?: number | undefined
}

/**
 * Lands a range again and, in the same commit, removes the rows that it had landed before, as `tailrace replay`.
 *
 * @throws USAGE, REPLAY_OUT_OF_RANGE, REPLAY_NOT_A_LINE_START, and SOURCE_UNAVAILABLE after a few attempts
 */
export async function replayRange(
  config: ResolvedConfig,
  range: ReplayRange,
  options: Omit<OperationOptions, 'pipeline'> = {},
): Promise<ReplayReceipt> {
  const { clock, logger } = contextOf(config, options)
  const { source } = choosePipeline(config, range.pipeline)
  const storage = new ContainerStorage(config.stateDirectory, false, clock, logger)
  try {
    const reader = await storage.reader(source)
    return await replay({ ...range, config, reader, clock, logger })
  } finally {
    await storage.stop()
  }
}

function contextOf(
  config: ResolvedConfig,
  { clock = systemClock, logger = silentLogger }: OperationOptions,
): { readonly config: ResolvedConfig; readonly clock: Clock; readonly logger: Logger } {
  return { config, clock, logger }
}
