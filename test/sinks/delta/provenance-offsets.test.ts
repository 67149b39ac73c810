import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { isTailraceError } from '../../../src/errors.ts'
import { commitPath, encodeActions } from '../../../src/sinks/delta/protocol/actions.ts'
import { sqlString } from '../../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../../src/sinks/table-committer.ts'
import type { Column } from '../../../src/tables/table.ts'
import { markDeleted } from './deletion-vectors.ts'
import { onEachStorage } from './on-each-storage.ts'
import { type CommitterOverrides, columns, committerOf, span, type Workbench } from './support.ts'

const placed: readonly Column[] = [...columns, { name: 'source_length', type: 'long', comment: 'Its bytes.' }]
const generation = '20261124T084700Z'

/** Rows of ten bytes each. */
async function rowsOf(bench: Workbench, blob: string, start: number, end: number): Promise<EncodedBatch> {
  const files = await bench.engine.copy(`COPY (SELECT ${sqlString(blob)} AS source_blob,
      ${sqlString(generation)} AS source_generation, i::BIGINT AS source_offset, 10::BIGINT AS source_length,
      DATE '2026-01-01' AS event_date FROM range(${start}, ${end}, 10) AS rows(i))
    TO ${sqlString(join(bench.staging, randomUUID()))} (FORMAT parquet, RETURN_STATS, PARTITION_BY (event_date))`)
  return { files, rows: (end - start) / 10, rejected: 0, partial: 0 }
}

/** Copies the table's newest files into a log without a single offset, as an engine does that overwrites it. */
async function loseOffsets(bench: Workbench): Promise<void> {
  const names = (await bench.storage.list('_delta_log')).sort()
  const lines: string[] = []
  for (const name of names)
    lines.push(
      ...String(await bench.storage.read(`_delta_log/${name}`))
        .trim()
        .split('\n'),
    )
  for (const name of names) await bench.storage.remove(`_delta_log/${name}`)
  const actions = lines
    .map((line) => JSON.parse(line))
    .filter((action) => !('txn' in action) && !('commitInfo' in action))
  await bench.storage.putIfAbsent(
    commitPath(0),
    encodeActions(actions.filter((action) => !('add' in action))),
  )
  await bench.storage.putIfAbsent(commitPath(1), encodeActions(actions.filter((action) => 'add' in action)))
}

async function opened(bench: Workbench, overrides: CommitterOverrides = {}) {
  const recovered: number[] = []
  const committer = committerOf(bench, {
    columns: placed,
    onOffsetsRecovered: (count) => recovered.push(count),
    ...overrides,
  })
  await committer.open()
  return { committer, recovered }
}

async function filled(bench: Workbench): Promise<void> {
  const { committer, recovered } = await opened(bench)
  for (const blob of ['logs/a', 'logs/b', 'other/c']) {
    await committer.land([span(blob, 0, 40)], await rowsOf(bench, blob, 0, 40))
    await committer.land([span(blob, 40, 60)], await rowsOf(bench, blob, 40, 60))
  }
  assert.deepEqual(recovered, [])
}

onEachStorage('a table that lost its offsets is gone on with where its rows end', async (bench) => {
  await filled(bench)
  await loseOffsets(bench)
  const landsBlob = (blob: string): boolean => blob.startsWith('logs/')
  const { committer, recovered } = await opened(bench, { landsBlob })
  assert.deepEqual(recovered, [2])
  assert.equal(committer.tableVersion, 2, 'the offsets are in the table before anything is landed')
  assert.deepEqual(
    [...committer.landed()].sort((a, b) => (a.blob < b.blob ? -1 : 1)),
    [
      { blob: 'logs/a', generation, offset: 60 },
      { blob: 'logs/b', generation, offset: 60 },
    ],
  )
  await assert.rejects(
    committer.land([span('logs/a', 0, 60)], await rowsOf(bench, 'logs/a', 0, 60)),
    (error) => isTailraceError(error, 'COMMIT_FENCED'),
  )
  await committer.land([span('logs/a', 60, 80)], await rowsOf(bench, 'logs/a', 60, 80))

  const again = await opened(bench, { landsBlob })
  assert.deepEqual(again.recovered, [])
  assert.equal(again.committer.landed().get({ blob: 'logs/a', generation }), 80)
})

onEachStorage('a pipeline that begins in a table of others takes nothing from their rows', async (bench) => {
  await filled(bench)
  const { committer, recovered } = await opened(bench, {
    landsBlob: (blob) => blob.startsWith('replica/'),
  })
  assert.deepEqual([recovered, [...committer.landed()], committer.tableVersion], [[], [], 6])
})

onEachStorage('rows without a place, and older files without its columns, are passed over', async (bench) => {
  await filled(bench)
  await loseOffsets(bench)
  const files = await bench.engine.copy(
    `COPY (SELECT 1::INTEGER AS pid) TO ${sqlString(`${bench.staging}/bare.parquet`)} (FORMAT parquet, RETURN_STATS)`,
  )
  await bench.storage.putFile(files[0]!.path, 'bare.parquet')
  const add = {
    path: 'bare.parquet',
    partitionValues: { event_date: null },
    size: 1,
    modificationTime: 1,
    dataChange: true,
  }
  await bench.storage.putIfAbsent(commitPath(2), encodeActions([{ add }]))
  const { recovered } = await opened(bench)
  assert.deepEqual(recovered, [3])
})

onEachStorage('two processes that find the offsets lost record them once', async (bench) => {
  await filled(bench)
  await loseOffsets(bench)
  const both = await Promise.all([opened(bench), opened(bench)])
  assert.deepEqual(
    both.flatMap(({ recovered }) => recovered),
    [3],
  )
  for (const { committer } of both) assert.equal([...committer.landed()].length, 3)
  const { committer, recovered } = await opened(bench)
  assert.deepEqual([recovered, committer.tableVersion], [[], 2])
})

onEachStorage('rows that a deletion vector hides do not tell how far a blob is landed', async (bench) => {
  await filled(bench)
  await loseOffsets(bench)
  await markDeleted(bench, "source_blob = 'logs/a' AND source_offset >= 30")
  const { committer, recovered } = await opened(bench)
  assert.deepEqual(recovered, [3])
  assert.equal(committer.landed().get({ blob: 'logs/a', generation }), 30)
  assert.equal(committer.landed().get({ blob: 'logs/b', generation }), 60)
})
