import { sqlString } from '../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import type { Workbench } from '../sinks/delta/support.ts'

/** The same rows without some columns, as a declaration that lacks these gives them. */
export async function withoutColumns(
  bench: Workbench,
  batch: EncodedBatch,
  names: string,
): Promise<EncodedBatch> {
  const files = await Promise.all(
    batch.files.map(async ({ path, partition }) => {
      const [file] = await bench.engine.copy(
        `COPY (SELECT * EXCLUDE (${names}) FROM read_parquet(${sqlString(path)}, hive_partitioning = false))
          TO ${sqlString(`${path}.narrow`)} (FORMAT parquet, RETURN_STATS)`,
      )
      return { ...file!, partition }
    }),
  )
  return { ...batch, files }
}

/** The same rows in one file that has every column, as a table without partitions gets them. */
export async function inOneFile(bench: Workbench, batch: EncodedBatch): Promise<EncodedBatch> {
  const parts = batch.files.map(({ path, partition }) => {
    const date = partition.get('event_date') ?? null
    return `SELECT *, ${date === null ? 'NULL' : sqlString(date)}::DATE AS event_date
      FROM read_parquet(${sqlString(path)}, hive_partitioning = false)`
  })
  const files = await bench.engine.copy(
    `COPY (${parts.join(' UNION ALL ')}) TO ${sqlString(`${batch.files[0]!.path}.whole`)}
      (FORMAT parquet, RETURN_STATS)`,
  )
  return { ...batch, files }
}
