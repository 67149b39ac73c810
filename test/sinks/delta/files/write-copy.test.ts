import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { writeCopy } from '../../../../src/sinks/delta/files/rewrite.ts'
import { EmbeddedEngine, parquetSql, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

test('rows of 16 MiB are copied by a small engine, in any number, and its settings are as before', async (t) => {
  const directory = await temporaryDirectory(t)
  const paths: string[] = []
  const large = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'large'), memoryMiB: 1_024 })
  for (let number = 0; number < 6; number += 1) {
    const path = join(directory, `${number}.parquet`)
    const text = `repeat('${number}', 16 * 1024 * 1024 - 2)`
    await large.run(
      `COPY (SELECT ${number} AS event_time, ${text} AS raw, ${text} AS message, substring(${text}, 10) AS statement)
        TO ${sqlString(path)} (FORMAT parquet)`,
    )
    paths.push(path)
  }
  await large.close()
  const limits = { threads: 1, memoryMiB: 160 }
  const engine = await EmbeddedEngine.open({ ...limits, temporaryDirectory: join(directory, 'small') })
  t.after(() => engine.close())
  const target = join(directory, 'copy.parquet')
  const rows = `SELECT * FROM ${parquetSql(paths)}`
  const written = await writeCopy({ rows, order: ' ORDER BY event_time' }, target, engine)
  assert.equal(written?.rows, 6)
  const copied = await engine.rows(
    `SELECT event_time, strlen(raw)::INTEGER AS raw FROM ${parquetSql([target])} ORDER BY ALL`,
  )
  assert.deepEqual(
    copied,
    [0, 1, 2, 3, 4, 5].map((number) => ({ event_time: number, raw: 16 * 1024 * 1024 - 2 })),
  )
  const [memory] = await engine.rows("SELECT current_setting('memory_limit') AS memory")
  assert.equal(memory?.memory, '160.0 MiB')
})
