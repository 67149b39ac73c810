import { tmpdir } from 'node:os'
import { isAbort, TailraceError } from '../../errors.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import { withEngine } from '../encoding/engine-session.ts'
import type { OpenedSink, OpenSink, Sink, SinkContext } from '../sink.ts'
import { DeltaCommitter, type DeltaCommitterOptions } from './committer.ts'
import { inspectDelta } from './inspect.ts'
import { readHistory } from './log/history.ts'
import { DailyMaintenance } from './maintenance/daily-maintenance.ts'
import { deltaMaintenance } from './maintenance/maintenance.ts'
import { BackgroundOptimizer } from './maintenance/optimizer.ts'
import { type DeltaOptions, type DeltaTarget, deltaOptions, offsetsTableOf } from './options.ts'
import { deltaQuery } from './query/query-session.ts'
import { locationText, parseTableLocation, tableLocation } from './storage/location.ts'
import { commandStorage, openTableStorage } from './storage/open.ts'

/** Delta tables in a directory or in Azure storage, whose log this process writes itself. */
export const deltaSink: Sink<DeltaOptions> = {
  kind: 'delta',
  options: deltaOptions,
  batchDefaults: () => ({ maxBytes: 64 * 1024 * 1024, maxAgeMs: 10_000 }),
  resolvePaths: (options, directory) => ({
    ...options,
    root: locationText(parseTableLocation(options.root, directory)),
  }),
  nameMistake: ({ catalog, schema, table }) => {
    const wrong = [catalog, schema, table].find((part) => !/^[A-Za-z_][A-Za-z0-9_-]{0,127}$/.test(part))
    return wrong === undefined
      ? undefined
      : `found the part ${JSON.stringify(wrong)}, expected letters, digits, _ and -, because it is a directory's name`
  },
  tableId: (target) => locationText(tableLocation(target)),
  offsetsTable: offsetsTableOf,
  open: openDelta,
  requireTable,
  inspect: inspectDelta,
  createTable,
  createTableSql: () => ({ because: 'is written as files: there is no SQL to print' }),
  units: () => ({
    openStore: async (context) => {
      const { committer, ...opened } = await openDelta(context)
      return { store: committer, ...opened }
    },
  }),
  query: deltaQuery,
  history: {
    read: ({ target, clock }, maxCommits) =>
      withEngine((_engine, temporaryDirectory) =>
        readHistory(commandStorage(target, temporaryDirectory, clock), maxCommits),
      ),
  },
  maintenance: deltaMaintenance,
  setup: { because: 'is not in a Databricks workspace' },
}

/** A table can have thousands of blobs that were landed twice; the log line names this many. */
const maxLoggedRanges = 10

async function openDelta({
  target,
  stagingDirectory,
  engine,
  offsets,
  upkeepShare,
  signal,
  clock,
  logger,
}: OpenSink<DeltaOptions>): Promise<OpenedSink & { readonly committer: DeltaCommitter }> {
  const location = tableLocation(target)
  const committer = new DeltaCommitter({
    ...tableOptions(target),
    storage: openTableStorage(target, {
      downloadDirectory: stagingDirectory,
      clock,
      retry: { signal, onRetry: retryLog(logger, "the table's storage failed") },
    }),
    engine,
    stagingDirectory,
    clock,
    signal,
    onCheckpointFailed: (error) => {
      if (!isAbort(error)) logger.warn({ err: error }, 'a checkpoint could not be written')
    },
    landsBlob: target.landsBlob,
    onOffsetsRecovered: (count) =>
      logger.warn(
        { count },
        'the table has rows of these blobs and no offsets: they were taken from its rows',
      ),
    markOf: (source) => offsets.markOf(source),
    onRecalled: (mark) => {
      if (offsets.markOf(mark) === undefined) offsets.recordMark(mark)
    },
    onForgotten: (source) => offsets.forgetMark(source),
    onDoubled: (ranges) =>
      logger.warn(
        { ranges: ranges.slice(0, maxLoggedRanges), count: ranges.length },
        'pipelines of these names have landed the same ranges, each for itself: rows are there twice up to `end`; from now on a blob is landed once for all of them',
      ),
  })
  try {
    await committer.open()
  } catch (error) {
    await committer.close()
    throw error
  }
  return {
    committer,
    encodedFiles: 'by-partition',
    directories: location.kind === 'directory' ? [location.path] : [],
    startUpkeep: (isHeld) => {
      const options = { target, staging: stagingDirectory, upkeepShare, isHeld, clock, logger }
      const optimizer = new BackgroundOptimizer(options)
      const daily = new DailyMaintenance({
        ...options,
        markOf: (source) => offsets.markOf(source),
        archivableOffsets: (unchangedMs) => committer.unchangedOffsets(unchangedMs),
        unmarkedOffsets: () => committer.unmarkedOffsets,
      })
      return {
        noteLanded: () => optimizer.noteLanded(),
        stop: async () => {
          await Promise.all([optimizer.stop(), daily.stop()])
        },
      }
    },
  }
}

function tableOptions({
  sink,
  table,
}: DeltaTarget): Pick<DeltaCommitterOptions, 'columns' | 'partitionColumns' | 'evolve' | 'tableName'> {
  return {
    columns: table.columns,
    partitionColumns: table.partitionColumns.map(({ column }) => column),
    evolve: sink.evolve,
    tableName: table.name.table,
  }
}

async function createTable({ target, clock }: SinkContext<DeltaOptions>): Promise<string> {
  return withEngine(async (engine, temporaryDirectory) => {
    const committer = new DeltaCommitter({
      ...tableOptions(target),
      storage: commandStorage(target, temporaryDirectory, clock),
      engine,
      stagingDirectory: temporaryDirectory,
      clock,
    })
    await committer.open()
    await committer.close()
    return `table ${committer.location} is at version ${committer.tableVersion}`
  })
}

async function requireTable({ target, clock }: SinkContext<DeltaOptions>): Promise<void> {
  const storage = commandStorage(target, tmpdir(), clock)
  for await (const page of storage.pages('_delta_log')) if (page.length > 0) return
  throw new TailraceError(
    'REPLAY_OUT_OF_RANGE',
    `There is no table at ${storage.location}: nothing is landed yet.`,
  )
}
