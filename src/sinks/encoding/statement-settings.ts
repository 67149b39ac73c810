import type { EngineSettings } from './engine.ts'

// Options and settings of the engine's statements that write files.

// DuckDB buffers a row group per thread before it compresses it: 10,240 log records are about 6 MiB of text. Files are
// only 2 % larger than with four times as many rows.
export const rowGroupRows = 10_240

// Size at which a row group is closed early, because a single row can have 16 MiB.
export const rowGroupBytes = 8_000_000

// DuckDB's default is a fifth of a row group's rows: it hashes as many messages before it gives up their dictionary.
// Names, severities and commands have far fewer values. Files are 2 % smaller.
const dictionaryValues = 256

/** Options of every written Parquet file. V1 data pages are DuckDB's default and the only ones that every reader supports. */
export const parquetOptions = `FORMAT parquet, COMPRESSION zstd, RETURN_STATS, DICTIONARY_SIZE_LIMIT ${dictionaryValues},
  ROW_GROUP_SIZE ${rowGroupRows}, ROW_GROUP_SIZE_BYTES ${rowGroupBytes}`

// Optimizers that find nothing to improve in the projection, but take as long as encoding 8 MiB. Filter pushdown would
// even evaluate everything below the filter twice. The two that choose the order and the sides of a join would put all
// text of a batch into a hash table, instead of its spans.
const idleOptimizers =
  'common_subexpressions,expression_rewriter,in_clause,statistics_propagation,filter_pushdown,filter_pullup,' +
  'build_side_probe_side,join_order'

/** Settings for statements of ordinary rows. */
export const ordinarySettings: EngineSettings = { disabled_optimizers: idleOptimizers }

/**
 * Settings for the projection of any form: its vectors of ordinary rows do not fit into the engine's usual memory.
 *
 * Measured for records of 500 to 1,500 bytes: one thread needs up to 280 MiB, two need 280 for Azure's records of 507 bytes
 * and 500 for records inside of Docker's.
 */
export function anyFormSettings(threads: 1 | 2): EngineSettings {
  return { ...ordinarySettings, memory_limit: threads === 1 ? '320MiB' : '340MiB', threads }
}

/** Buffers of a row's length that a statement allocates, most of which it never fills: measured for every shape. */
export const projectionBuffers = 45

/** The same for a statement that only copies rows. */
const copyBuffers = 11

/**
 * Settings for statements that copy long rows. A long row passes through many buffers, which DuckDB counts in full
 * against its memory limit although most are never touched, so the limit is raised. One thread is used, and no operator
 * collects rows of several files into one vector.
 */
export function carefulSettings(longestRowBytes: number, buffers = copyBuffers): EngineSettings {
  return {
    disabled_optimizers: idleOptimizers,
    enable_caching_operators: 'false',
    threads: 1,
    memory_limit: `${200 + Math.ceil((buffers * longestRowBytes) / (1024 * 1024))}MiB`,
  }
}
