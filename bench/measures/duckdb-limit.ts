/**
 * The machine's limit: DuckDB alone, the same projection, from the local file to Parquet. It knows neither blobs nor
 * offsets nor commits, and has all the memory it wants.
 *
 *   node --import tsx bench/measures/duckdb-limit.ts FILE LONGEST-LINE-BYTES LINES ROW-GROUP-ROWS DIRECTORY
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { EmbeddedEngine, sqlString } from '../../src/sinks/encoding/engine.ts'
import { idleOptimizers } from '../../src/sinks/encoding/part-writer.ts'
import { linesOf, projectionSql } from '../../src/sinks/encoding/projection.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'

const [file, longestLineBytes, lineCount, rowGroupRows, directory] = process.argv.slice(2)
if (!file || !longestLineBytes || !lineCount || !rowGroupRows || !directory)
  throw new Error('Arguments are missing.')

await mkdir(directory, { recursive: true })
const engine = await EmbeddedEngine.open({
  threads: 2,
  memoryMiB: 8 * 1024,
  temporaryDirectory: join(directory, 'spill'),
})
const declaration = postgresLogs('bench.public.lines', { role: 'primary' })
const from = linesOf(file, Number(longestLineBytes))
const total = { rows: 0, fileBytes: 0 }
// The encoder's own two ways, the long one only where lines are left for it.
for (const part of ['usual', 'others'] as const) {
  if (total.rows === Number(lineCount)) break
  const select = projectionSql(declaration, { from, part })
  const [written] = await engine.withSettings({ disabled_optimizers: idleOptimizers }, () =>
    engine.copy(`COPY (SELECT * EXCLUDE (event_date) FROM (${select}))
      TO ${sqlString(join(directory, `${part}.parquet`))}
      (FORMAT parquet, COMPRESSION zstd, RETURN_STATS, ROW_GROUP_SIZE ${Number(rowGroupRows)})`),
  )
  total.rows += written?.rows ?? 0
  total.fileBytes += written?.bytes ?? 0
}
await engine.close()
console.log(JSON.stringify(total))
