import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { commitPath, encodeActions } from '../../../../src/sinks/delta/protocol/actions.ts'
import { EmbeddedEngine } from '../../../../src/sinks/encoding/engine.ts'
import { landBatches } from '../maintenance/support.ts'
import { workbench } from '../support.ts'

const filesPerCommit = 3_000
const commits = 10

test('a checkpoint of 30,000 files with statistics of 3 KB is written within the memory of the engine', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  const { files, protocol, metaData, transactions } = (await loadState(bench.storage, bench.engine, {
    keepFiles: true,
  }))!
  const [first] = files!.values()
  const text = Object.fromEntries(
    Array.from({ length: 15 }, (_, index) => [`column_${index}`, 'x'.repeat(90)]),
  )
  const stats = JSON.stringify({ numRecords: 1, minValues: text, maxValues: text, nullCount: {} })
  const engine = await EmbeddedEngine.open({
    temporaryDirectory: join(bench.directory, 'little'),
  })
  t.after(() => engine.close())
  const context = { storage: bench.storage, engine, stagingDirectory: bench.staging }
  let previous = -1
  for (let commit = 0; commit < commits; commit += 1) {
    const version = 2 + commit
    const adds = Array.from({ length: filesPerCommit }, (_, index) => ({
      add: { ...first!, path: `${version}-${index}.parquet`, stats },
    }))
    await bench.storage.putIfAbsent(commitPath(version), encodeActions(adds))
    const plan = { version, previous, protocol, metaData, transactions: transactions.size, domains: 0 }
    await writeCheckpoint(plan, context, Date.now())
    previous = version
  }
  const state = (await loadState(bench.storage, engine, { keepFiles: true, statistics: false }))!
  assert.equal(state.checkpointVersion, 1 + commits)
  assert.equal(state.files!.size, files!.size + commits * filesPerCommit)
})
