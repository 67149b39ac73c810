import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import { hasArchiveFormat } from '../../src/sinks/delta/protocol/features.ts'
import { archive } from '../sinks/delta/archive/support.ts'
import { committerOf, encode, span } from '../sinks/delta/support.ts'
import { blob, SharedTable } from './shared-table.ts'
import { Spark, sparkTest } from './spark/spark.ts'

const spark = new Spark()
after(() => spark.close())

test(
  "Spark's checkpoints, OPTIMIZE, VACUUM and RESTORE leave archived offsets as they are",
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 300)
    const before = committer.tableVersion
    await archive(table.bench)
    await committer.close()
    await table.spark((name) => `ALTER TABLE ${name} SET TBLPROPERTIES ('delta.checkpointInterval' = '1')`)
    await table.spark((name) => `OPTIMIZE ${name}`)
    await table.assertSame(30)

    const zombie = async (): Promise<void> => {
      const twice = committerOf(table.bench)
      await twice.open()
      assert.equal(twice.landed().archivedCount, 1)
      const source = span(blob, 0, 100)
      await assert.rejects(
        async () => twice.land([source], await encode(table.bench, source, [{ offset: 0, seed: 0 }])),
        { code: 'COMMIT_FENCED' },
      )
    }
    await zombie()
    const next = committerOf(table.bench)
    await next.open()
    await table.land(next, 300, 400)
    await table.assertSame(40)
    await next.close()
    // Transactions are no part of what RESTORE brings back; the format that keeps earlier releases away is.
    await table.spark((name) => `RESTORE TABLE ${name} TO VERSION AS OF ${before}`)
    await zombie()
    const state = await loadState(table.bench.storage, table.bench.engine, { keepFiles: false })
    assert.equal(hasArchiveFormat(state!.metaData), true)
    await spark.sql('SET spark.databricks.delta.retentionDurationCheck.enabled = false')
    await table.spark((name) => `VACUUM ${name} RETAIN 0 HOURS`)
    await spark.sql('RESET spark.databricks.delta.retentionDurationCheck.enabled')
    await zombie()
  },
)
