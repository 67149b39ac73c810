import { engineTypes } from './engine-types.ts'
import { sqlIdentifier, sqlString } from './sql.ts'
import {
  type Column,
  type ColumnType,
  type Projection,
  type ProjectionOptions,
  parseTableName,
  provenanceColumns,
  type TableDeclaration,
} from './table.ts'

/** A column with the value of a key of the record, of the same name. */
function own(name: string, type: ColumnType, comment: string): Column {
  return { name, type, comment }
}

/** What a run notes; each is a key of a record in its journal. */
const ownColumns: readonly Column[] = [
  own('at', 'timestamp', 'When the run began or ended, or the batch was committed.'),
  own('kind', 'string', 'start or end of a run, or batch.'),
  own('run_id', 'string', 'UUID of the run, which is one process.'),
  own('pipeline', 'string', 'Pipeline of the batch.'),
  own('batch_id', 'string', 'UUID of the batch, which is also the id of its trace.'),
  own('table_name', 'string', 'Table that the batch landed in.'),
  own('table_version', 'long', 'Version of the table that first has the rows; NULL without versions.'),
  own('row_count', 'long', 'Rows landed: of the batch, or at the end of the run of all its batches.'),
  own('rejected_rows', 'long', 'Rows of them that are rejected.'),
  own('partial_rows', 'long', 'Rows of them with a value that did not fit.'),
  own('bytes', 'long', 'Bytes of blobs landed.'),
  own('file_bytes', 'long', 'Bytes of the data files of the batch.'),
  own('blob_count', 'long', 'Ranges of the batch, each of another blob.'),
  own('ranges', 'string', 'JSON list of the ranges: blob, generation, start, end.'),
  own('opened_at', 'timestamp', 'When the first bytes of the batch arrived.'),
  own('encode_ms', 'long', 'Milliseconds to encode the batch.'),
  own('commit_ms', 'long', 'Milliseconds to commit it, repeated attempts included.'),
  own('failed_attempts', 'long', 'Attempts to commit it that failed, up to 16.'),
  own('is_recovered', 'boolean', 'Whether the run ended before it noted the batch, and a later one did.'),
  own('outcome', 'string', 'How the run ended: done, stopped or failed. A run without an end was killed.'),
  own('error_code', 'string', 'Code of the error that ended the run.'),
  own('tailrace_version', 'string', 'Release of Tailrace.'),
  own('host', 'string', 'Host name of the machine or container.'),
  own('pid', 'integer', 'Process.'),
]

const rawColumn: Column = { name: 'raw', type: 'string', comment: 'The whole record.', isRequired: true }
const dateColumn: Column = { name: 'event_date', type: 'date', comment: 'UTC date of at.' }
const errorColumn: Column = { name: 'parse_error', type: 'string', comment: 'Why the row is rejected.' }

const projection: Projection = {
  select: (source: string, { passThrough, usual }: ProjectionOptions) => {
    const fields = Object.fromEntries(ownColumns.map(({ name, type }) => [name, engineTypes[type]]))
    const values = ownColumns.map(({ name }) => `fields.${sqlIdentifier(name)} AS ${sqlIdentifier(name)}`)
    const isRecord = "text IS NOT NULL AND json_valid(text) AND json_type(text) = 'OBJECT'"
    return `SELECT ${[...values, ...passThrough.map(sqlIdentifier)].join(', ')}, raw,
      CASE WHEN is_record THEN 'ok' ELSE 'rejected' END AS parse_status,
      CASE WHEN NOT is_record THEN coalesce(note, reject, 'not_json') END AS parse_error
      FROM (SELECT *, ${isRecord} AS is_record,
        json_transform(CASE WHEN ${isRecord} THEN text END, ${sqlString(JSON.stringify(fields))}) AS fields
        FROM ${source}) ${usual === undefined ? '' : 'WHERE is_record'}`
  },
}

/**
 * Declares the table of runs and their batches, which Tailrace writes about itself.
 *
 * @param name `catalog.schema.table`
 * @throws CONFIG_INVALID for an invalid name
 */
export function runsTable(name: string): TableDeclaration {
  return {
    name: parseTableName(name),
    columns: [...ownColumns, ...provenanceColumns, errorColumn, rawColumn, dateColumn],
    partitionColumns: [{ column: dateColumn.name, fromSql: 'make_timestamp(epoch_us("at"))::DATE' }],
    strict: false,
    projection,
  }
}
