import type { Span } from '../../../records.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import { binaryText } from '../tables/definition.ts'

/** Raised when an offset is not the start of its span, or a newer owner has landed the blob. */
export const fencedState = '45T01'

/** Raised when another batch or replay of the blob was landed after a replay has read its offset. */
export const overtakenState = '45T03'

/** Raised when the table's offsets were removed, because the pipeline lands in another mode now. */
export const handedOverState = '45T02'

/** A span as the parameter `:spans` has it. */
export interface SpanRow {
  readonly blob: string
  readonly generation: string
  readonly start_offset: number
  readonly end_offset: number
  /** Whether the process has seen an offset of the generation: it must still be there. */
  readonly is_known: boolean
  readonly mark: string | null
}

const spanType =
  'ARRAY<STRUCT<blob: STRING, generation: STRING, start_offset: BIGINT, end_offset: BIGINT, is_known: BOOLEAN, mark: STRING>>'

const spans = `(SELECT inline(from_json(:spans, ${quoteText(spanType)})))`

/** Joins the offsets `o` to the spans `s`. */
const sameGeneration = 'o.target = :target AND o.source_blob = s.blob AND o.source_generation = s.generation'

const isAnchor = "target = '' AND source_blob = ''"

const columnNames =
  'target, source_blob, source_generation, landed_to, mark, bytes, epoch, run_id, batch_id, committed_at'

const insertOffset = `WHEN NOT MATCHED THEN INSERT (${columnNames})
VALUES (:target, s.blob, s.generation, s.end_offset, s.mark, s.end_offset - s.start_offset, :epoch, :run, :batch, current_timestamp())`

/**
 * Formats the transaction that lands a batch: it checks the offsets, adds the rows and moves the offsets, or does
 * nothing. A generation without an offset allows any start.
 *
 * Its parameters are `:target`, `:pipeline`, `:spans`, `:epoch`, `:run` and `:batch`.
 *
 * https://docs.databricks.com/aws/en/transactions/ (read 2026-11-29)
 *
 * @param addRows the statement that adds the rows; undefined for a batch without rows
 * @param replacesIn the target, where rows of the spans may be there already, which are removed: those of a statement of
 * another mode, which the pipeline has landed by before
 * @param opensGenerations whether a span begins a generation without an offset. Two transactions that insert the same new
 * key may both succeed, so both then change a row that exists.
 */
export function landSql(
  offsets: TableName,
  addRows: string | undefined,
  {
    opensGenerations,
    replacesIn,
  }: { readonly opensGenerations: boolean; readonly replacesIn?: TableName | undefined },
): string {
  const table = qualifiedName(offsets)
  return atomic([
    requireGate(table),
    `IF EXISTS (SELECT 1 FROM ${spans} AS s LEFT JOIN ${table} AS o ON ${sameGeneration}
  WHERE (s.is_known AND o.landed_to IS NULL) OR o.landed_to <> s.start_offset OR o.epoch > :epoch OR (o.epoch = :epoch AND o.run_id <> :run)) THEN
  SIGNAL SQLSTATE '${fencedState}' SET MESSAGE_TEXT = 'another process has moved an offset';
END IF;`,
    opensGenerations ? `${touchGates(table)};` : '',
    replacesIn === undefined ? '' : `${removeRows(qualifiedName(replacesIn))};`,
    addRows === undefined ? '' : `${addRows};`,
    `${moveOffsets(table)};`,
  ])
}

/**
 * Formats the transaction that replaces the rows of a landed range. Its parameters are those of a landing, without
 * `:spans`, and `:blob`, `:generation`, `:from`, `:to` and `:seen`, the batch that has landed the blob last: executed late, a
 * replay would put its values back in place of those of a newer one.
 */
export function replaceRangeSql(offsets: TableName, target: TableName, addRows: string | undefined): string {
  const table = qualifiedName(offsets)
  const row =
    'target = :target AND source_blob = :blob AND source_generation = :generation AND landed_to >= :to'
  return atomic([
    requireGate(table),
    `IF NOT EXISTS (SELECT 1 FROM ${table} WHERE ${row}) THEN
  SIGNAL SQLSTATE '${fencedState}' SET MESSAGE_TEXT = 'the range is not landed';
END IF;`,
    `IF NOT EXISTS (SELECT 1 FROM ${table} WHERE ${row} AND (coalesce(batch_id, '') = :seen OR batch_id = :batch)) THEN
  SIGNAL SQLSTATE '${overtakenState}' SET MESSAGE_TEXT = 'another batch of the blob was landed meanwhile';
END IF;`,
    `DELETE FROM ${qualifiedName(target)} WHERE source_blob = :blob AND source_generation = :generation AND source_offset >= :from AND source_offset < :to;`,
    addRows === undefined ? '' : `${addRows};`,
    // Two replays at once, or a replay beside a landing of the same blob, change the same row, so one of them fails.
    `UPDATE ${table} SET batch_id = :batch, committed_at = current_timestamp() WHERE ${row};`,
  ])
}

/**
 * Formats the transaction that makes the offsets table the authority for a pipeline. Parameters as for a landing. An offset
 * that is there stays: another process may have begun meanwhile, and landed.
 *
 * Two transactions that insert the same new key may both succeed, so both change the anchor, which exists.
 */
export function beginOffsetsSql(offsets: TableName): string {
  const table = qualifiedName(offsets)
  return atomic([
    `UPDATE ${table} SET landed_to = landed_to + 1 WHERE ${isAnchor};`,
    `MERGE INTO ${table} AS o USING ${spans} AS s
ON ${sameGeneration}
${insertOffset};`,
    `MERGE INTO ${table} AS o USING (SELECT :pipeline AS name) AS s
ON o.target = :target AND o.source_blob = '' AND o.source_generation = s.name
WHEN NOT MATCHED THEN INSERT (${columnNames})
VALUES (:target, '', s.name, 0, NULL, 0, 0, :run, :batch, current_timestamp());`,
  ])
}

/** Formats the statement that adds the anchor, a row without a target. Two anchors do no harm. */
export function anchorSql(offsets: TableName): string {
  const table = qualifiedName(offsets)
  return `INSERT INTO ${table} (${columnNames})
SELECT '', '', '', 0, NULL, 0, 0, '', '', current_timestamp() WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE ${isAnchor})`
}

export function spanRow(span: Span, isKnown: boolean, mark: string | undefined): SpanRow {
  const { blob, generation, start, end } = span
  return { blob, generation, start_offset: start, end_offset: end, is_known: isKnown, mark: mark ?? null }
}

function atomic(statements: readonly string[]): string {
  return ['BEGIN ATOMIC', ...statements.filter((sql) => sql !== ''), 'END'].join('\n')
}

/** A pipeline's gate is a row of the offsets table that says that the table is the authority for the pipeline. */
function requireGate(table: string): string {
  return `IF NOT EXISTS (SELECT 1 FROM ${table} WHERE target = :target AND source_blob = '' AND source_generation = :pipeline) THEN
  SIGNAL SQLSTATE '${handedOverState}' SET MESSAGE_TEXT = 'the offsets were handed over';
END IF;`
}

/** Of all pipelines that land in the target. */
function touchGates(table: string): string {
  return `UPDATE ${table} SET landed_to = landed_to + 1 WHERE target = :target AND source_blob = ''`
}

function removeRows(target: string): string {
  return `DELETE FROM ${target} WHERE EXISTS (SELECT 1 FROM ${spans} AS s
  WHERE s.blob = source_blob AND s.generation = source_generation AND source_offset >= s.start_offset AND source_offset < s.end_offset)`
}

function moveOffsets(table: string): string {
  return `MERGE INTO ${table} AS o USING ${spans} AS s
ON ${sameGeneration}
WHEN MATCHED THEN UPDATE SET landed_to = s.end_offset, mark = s.mark, bytes = o.bytes + s.end_offset - s.start_offset, epoch = :epoch, run_id = :run, batch_id = :batch, committed_at = current_timestamp()
${insertOffset}`
}

/** The columns of the offsets table, in the order of its definition. */
const definitions = [
  [
    'target',
    `${binaryText} NOT NULL`,
    'The table that the offset belongs to: catalog.schema.table in lower case.',
  ],
  [
    'source_blob',
    `${binaryText} NOT NULL`,
    'Container and name of the blob; empty in the row of a pipeline.',
  ],
  [
    'source_generation',
    `${binaryText} NOT NULL`,
    'The life of the blob name; in the row of a pipeline, its name.',
  ],
  ['landed_to', 'BIGINT NOT NULL', 'Every byte before this one is landed.'],
  ['mark', 'STRING', 'How the generation is recognized, as JSON; in the row of a pipeline, its table.'],
  ['bytes', 'BIGINT', 'Bytes of the generation that were landed by transactions.'],
  ['epoch', 'BIGINT', 'Grows with each process that lands the blob: an older one is refused.'],
  ['run_id', 'STRING', 'The process that landed last.'],
  ['batch_id', 'STRING', 'The batch or replay that landed last.'],
  ['committed_at', 'TIMESTAMP', 'When it was landed.'],
] as const

/** Formats the statement that creates the offsets table; it does nothing if the table exists. */
export function createOffsetsSql(offsets: TableName): string {
  const columns = definitions.map(
    ([name, type, comment]) => `  ${quoteName(name)} ${type} COMMENT ${quoteText(comment)}`,
  )
  return [
    `CREATE TABLE IF NOT EXISTS ${qualifiedName(offsets)} (\n${columns.join(',\n')}\n)`,
    'USING DELTA',
    'CLUSTER BY (target, source_blob)',
    "COMMENT 'How far Tailrace has landed each blob. Changed in one transaction with the rows.'",
    "TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')",
  ].join('\n')
}
