import { TailraceError } from '../../errors.ts'
import { sqlString } from '../../tables/sql.ts'
import type { RecordDetails, RecordRow, RejectedRow, RejectList, RowPlace } from '../api.ts'
import type { FoundTable } from './found-tables.ts'
import type { LogTables } from './log-tables.ts'
import { instantSql, timeColumn } from './record-filter.ts'
import { eventedSql, listColumns, placeOfRow, recordRow } from './record-rows.ts'

/** A session's records further from a record than this are not shown, so that not all of its files are read. */
const maxSessionMs = 3_600_000

/** Characters shown of a rejected line. */
const maxRawCharacters = 10_000

/**
 * Reads every column of one record, and the records of its session around it.
 *
 * @throws USAGE when there is no such record
 */
export async function readRecord(
  tables: LogTables,
  place: RowPlace,
  around: number,
  signal: AbortSignal,
): Promise<RecordDetails> {
  const table = (await tables.find([place.table]))[0]
  const condition = `source_blob = ${sqlString(place.blob)} AND source_generation = ${sqlString(place.generation)}
    AND source_offset = ${place.offset} AND source_index = ${place.index}`
  const find = async (select: string): Promise<Readonly<Record<string, unknown>> | undefined> =>
    table && (await tables.rows(select, signal)).rows[0]
  const columns = await find(`FROM ${table?.relation} WHERE ${condition} LIMIT 1`)
  const listed =
    columns &&
    (await find(eventedSql(`${listSelect(table as FoundTable)} WHERE ${condition} LIMIT 1`, timeColumn)))
  if (table === undefined || columns === undefined || listed === undefined) {
    throw new TailraceError('USAGE', `There is no record at offset ${place.offset} of ${place.blob}.`)
  }
  const record = recordRow(listed)
  const session = await sessionRows(tables, table, record, around, signal)
  return {
    columns: columns as RecordDetails['columns'],
    record,
    ...session,
    replayCommand: await replayCommands(tables, table, signal, [place]).then((commandOf) =>
      commandOf(place, Number(columns.source_length)),
    ),
  }
}

/** Reads the newest rejected and partial rows of tables. */
export async function readRejects(
  tables: LogTables,
  ids: readonly string[],
  limit: number,
  signal: AbortSignal,
): Promise<RejectList> {
  const rejects: (RejectedRow & { readonly ingestedUs: number })[] = []
  for (const table of await tables.find(ids)) {
    // A list of the values, because statistics exclude files by it.
    const { rows } = await tables.rows(
      `SELECT ${sqlString(table.id)} AS source_table, source_blob, source_generation, source_offset, source_index,
        source_length, parse_status, parse_error, substr(raw, 1, ${maxRawCharacters}) AS raw, epoch_us(ingest_ts) AS ingest_us
      FROM ${table.relation} WHERE parse_status IN ('partial', 'rejected')
      ORDER BY ingest_ts DESC, source_offset DESC, source_index DESC LIMIT ${limit}`,
      signal,
    )
    const places = rows.map(placeOfRow)
    const commandOf = await replayCommands(tables, table, signal, places)
    for (const [index, row] of rows.entries()) {
      const place = places[index]!
      rejects.push({
        ...place,
        pipelines: table.pipelines,
        length: Number(row.source_length),
        status: String(row.parse_status),
        reason: row.parse_error === null ? null : String(row.parse_error),
        raw: row.raw === null ? null : String(row.raw),
        replayCommand: commandOf(place, Number(row.source_length)),
        ingestedUs: Number(row.ingest_us),
      })
    }
  }
  rejects.sort((a, b) => b.ingestedUs - a.ingestedUs)
  return { rejects: rejects.slice(0, limit).map(({ ingestedUs: _, ...reject }) => reject) }
}

async function sessionRows(
  tables: LogTables,
  table: FoundTable,
  { session, atMs, ...place }: RecordRow,
  around: number,
  signal: AbortSignal,
): Promise<Pick<RecordDetails, 'before' | 'after'>> {
  if (session === null || atMs === null || around === 0) return { before: [], after: [] }
  const server = [
    ['server_name', place.server],
    ['source_role', place.role],
  ].map(([column, value]) => `${column} IS NOT DISTINCT FROM ${value == null ? 'NULL' : sqlString(value)}`)
  const rows = `${listSelect(table)} WHERE session_id = ${sqlString(session)} AND ${server.join(' AND ')}
    AND ${timeColumn} >= ${instantSql(atMs - maxSessionMs)} AND ${timeColumn} <= ${instantSql(atMs + maxSessionMs)}`
  const numbered = `SELECT *, row_number() OVER (ORDER BY ${timeColumn}, line_num, source_offset, source_index) AS place FROM (${rows})`
  const isRecord = `source_blob = ${sqlString(place.blob)} AND source_generation = ${sqlString(place.generation)}
    AND source_offset = ${place.offset} AND source_index = ${place.index}`
  const near = `WITH numbered AS (${numbered}) SELECT * FROM numbered
    WHERE abs(place - (SELECT max(place) FROM numbered WHERE ${isRecord})) <= ${around}`
  const found = (await tables.rows(eventedSql(near, 'place'), signal)).rows.map(recordRow)
  const at = found.findIndex((one) => isSamePlace(one, place))
  return { before: found.slice(0, Math.max(0, at)), after: found.slice(at + 1) }
}

function listSelect({ id, relation }: FoundTable): string {
  return `SELECT ${sqlString(id)} AS source_table, ${listColumns} FROM ${relation}`
}

function isSamePlace(a: RowPlace, b: Omit<RowPlace, 'table'>): boolean {
  return a.blob === b.blob && a.generation === b.generation && a.offset === b.offset && a.index === b.index
}

/**
 * @returns gives the command for a shell of POSIX that lands a row again; a comment for a shell where there is none: a
 * replay reads the newest generation of a blob, of which the same range has other lines
 */
async function replayCommands(
  tables: LogTables,
  table: FoundTable,
  signal: AbortSignal,
  places: readonly RowPlace[],
): Promise<(place: RowPlace, length: number) => string> {
  const newer = await newerGenerations(tables, table, signal, places)
  return ({ blob, generation, offset }, length) => {
    const pipeline = table.pipelineOf(blob)
    if (pipeline === undefined) return '# no pipeline of the config lands this blob'
    if (newer.some((one) => one.blob === blob && one.generation > generation))
      return '# the blob was overwritten or created anew since: this line cannot be read again'
    const name = /^[\w./-]+$/.test(blob) ? blob : `'${blob.replaceAll("'", `'\\''`)}'`
    // Compressed blobs are landed again as a whole.
    const range = /\.gz$/i.test(blob) ? '--from 0' : `--from ${offset} --to ${offset + length}`
    return `tailrace replay --pipeline ${pipeline} --blob ${name} ${range}`
  }
}

/** Lists the generations of blobs that come after the oldest one of some rows. */
async function newerGenerations(
  tables: LogTables,
  { relation }: FoundTable,
  signal: AbortSignal,
  places: readonly RowPlace[],
): Promise<readonly { readonly blob: string; readonly generation: string }[]> {
  if (places.length === 0) return []
  const blobs = [...new Set(places.map(({ blob }) => blob))].map(sqlString)
  const [oldest = ''] = places.map(({ generation }) => generation).sort()
  const sql = `SELECT DISTINCT source_blob, source_generation FROM ${relation}
    WHERE source_blob IN (${blobs.join(', ')}) AND source_generation > ${sqlString(oldest)}`
  const { rows } = await tables.rows(sql, signal)
  return rows.map((row) => ({ blob: String(row.source_blob), generation: String(row.source_generation) }))
}
