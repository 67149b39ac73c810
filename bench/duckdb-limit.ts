/**
 * The machine's limit: DuckDB alone, the same projection, from the local file to Parquet. It knows neither blobs nor
 * offsets nor commits, and has all the memory it wants.
 *
 *   node --import tsx bench/duckdb-limit.ts FILE LONGEST-LINE-BYTES ROW-GROUP-ROWS DIRECTORY
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { EmbeddedEngine, sqlString } from '../src/sinks/duckdb.ts'
import { linesOf, projectionSql } from '../src/sinks/projection.ts'
import { postgresLogs } from '../src/tables/postgres-logs.ts'

const [file, longestLineBytes, rowGroupRows, directory] = process.argv.slice(2)
if (!file || !longestLineBytes || !rowGroupRows || !directory) throw new Error('Arguments are missing.')

await mkdir(directory, { recursive: true })
const engine = await EmbeddedEngine.open({
  threads: 2,
  memoryMiB: 8 * 1024,
  temporaryDirectory: join(directory, 'spill'),
})
const select = projectionSql(postgresLogs('bench.public.lines', { role: 'primary' }), {
  from: linesOf(file, Number(longestLineBytes)),
})
const [written] = await engine.copy(`COPY (SELECT * EXCLUDE (event_date) FROM (${select}))
  TO ${sqlString(join(directory, 'lines.parquet'))}
  (FORMAT parquet, COMPRESSION zstd, RETURN_STATS, ROW_GROUP_SIZE ${Number(rowGroupRows)})`)
engine.close()
console.log(JSON.stringify({ rows: written?.rows, fileBytes: written?.bytes }))
