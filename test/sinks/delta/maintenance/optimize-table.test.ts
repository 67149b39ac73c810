import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { LiveFile } from '../../../../src/sinks/delta/files/live-files.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import {
  commitPath,
  type DeltaAction,
  encodeActions,
  removalOf,
} from '../../../../src/sinks/delta/protocol/actions.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { EmbeddedEngine, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { FaultyStorage } from '../faulty-storage.ts'
import { onEachStorage } from '../on-each-storage.ts'
import { columns, committerOf, encode, span, type Workbench, workbench } from '../support.ts'
import { blob, commitsSince, contentOf, landBatches, optimize } from './support.ts'

async function liveFilesOf(bench: Workbench) {
  return (await readTable(bench.storage, bench.engine))?.files ?? []
}

/** Adds a commit of another writer. */
async function commitActions(bench: Workbench, actions: readonly DeltaAction[]): Promise<void> {
  const { version } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  await bench.storage.putIfAbsent(commitPath(version + 1), encodeActions(actions))
}

async function stagedMerges({ staging }: Workbench): Promise<string[]> {
  return (await readdir(staging)).filter((name) => name.startsWith('rewrite-'))
}

function isRefused(pattern: RegExp) {
  return (error: unknown) => isTailraceError(error, 'TABLE_UNSUPPORTED') && pattern.test(error.message)
}

onEachStorage(
  'each partition becomes one file of the same rows, and a second time nothing is left to do',
  async (bench) => {
    await landBatches(bench, 0, 5)
    const before = await contentOf(bench)
    const files = await liveFilesOf(bench)
    const report = (await optimize(bench))!

    assert.deepEqual(await contentOf(bench), before)
    const merged = await liveFilesOf(bench)
    assert.equal(before.rows, 60)
    assert.equal(merged.length, 4)
    assert.equal(report.tableVersion, 5 + 4)
    assert.deepEqual(report.refused, [])
    const dates = [null, '2026-01-01', '2026-01-02', '2026-01-03']
    assert.deepEqual(
      report.partitions.map((one) => one.partitionValues.event_date ?? null).sort(),
      dates.sort(),
    )
    for (const { partitionValues, ...partition } of report.partitions) {
      const of = (some: typeof files) =>
        some.filter(
          (one) => (one.partitionValues.event_date ?? null) === (partitionValues.event_date ?? null),
        )
      const bytesOf = (some: typeof files) => some.reduce((sum, { bytes }) => sum + bytes, 0)
      assert.deepEqual(
        [partition.filesBefore, partition.bytesBefore, partition.filesAfter, partition.bytesAfter],
        [of(files).length, bytesOf(of(files)), 1, bytesOf(of(merged))],
      )
    }
    assert.equal(
      report.partitions.reduce((sum, { rows }) => sum + rows, 0),
      60,
    )
    assert.deepEqual(await optimize(bench), {
      tableVersion: 9,
      partitions: [],
      refused: [],
      leftTo: undefined,
    })
  },
)

onEachStorage('its commits say that no data has changed, and leave every offset as it is', async (bench) => {
  await landBatches(bench, 0, 3)
  const before = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  await optimize(bench)
  const commits = await commitsSince(bench.storage, 3)
  assert.equal(commits.length, 4)
  for (const { version, actions } of commits) {
    const files = actions.flatMap((action): { readonly dataChange: boolean }[] =>
      'add' in action ? [action.add] : 'remove' in action ? [action.remove] : [],
    )
    assert.equal(files.length, actions.length)
    assert.ok(files.every(({ dataChange }) => dataChange === false))
    const [info] = String(await bench.storage.read(commitPath(version))).split('\n')
    const { commitInfo } = JSON.parse(info!) as { commitInfo: Record<string, unknown> }
    assert.equal(commitInfo.operation, 'OPTIMIZE')
    assert.equal(commitInfo.isBlindAppend, false)
    const metrics = commitInfo.operationMetrics as Record<string, string>
    assert.equal(metrics.numRemovedFiles, String(actions.filter((action) => 'remove' in action).length))
    assert.equal(metrics.numAddedFiles, '1')
    for (const action of actions) {
      if ('remove' in action) {
        const { size, partitionValues } = before.files!.get(action.remove.path)!
        assert.deepEqual([action.remove.size, action.remove.partitionValues], [size, partitionValues])
      }
    }
  }
  const after = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  assert.deepEqual([...after.transactions], [...before.transactions])
})

test('merged files have the statistics of an encoded file, and bounds of all their rows', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 4)
  await optimize(bench)
  for (const { path, stats } of await liveFilesOf(bench)) {
    const file = await bench.storage.localFile(path)
    const [row] = await bench.engine.rows(
      `SELECT count(*)::INTEGER AS n, min(source_offset)::INTEGER AS low, max(source_offset)::INTEGER AS high,
        count(*) FILTER (message IS NULL)::INTEGER AS nulls FROM read_parquet(${sqlString(file.path)})`,
    )
    const { numRecords, minValues, maxValues, nullCount } = JSON.parse(stats!) as Record<
      string,
      Record<string, number>
    >
    assert.deepEqual(
      {
        n: numRecords,
        low: minValues!.source_offset,
        high: maxValues!.source_offset,
        nulls: nullCount!.message,
      },
      row,
    )
    assert.deepEqual(Object.keys(nullCount!).length, 10)
  }
})

test('rows are sorted by time within a file if that is wanted, and only then', async (t) => {
  for (const sortByTime of [true, false]) {
    const bench = await workbench(t)
    await landBatches(bench, 0, 4)
    const before = await contentOf(bench)
    await optimize(bench, { sortByTime })
    assert.deepEqual(await contentOf(bench), before)
    const unsorted = []
    for (const { path } of await liveFilesOf(bench)) {
      const file = await bench.storage.localFile(path)
      const [row] = await bench.engine.rows(
        `SELECT count(*)::INTEGER AS n FROM (SELECT event_time < lag(event_time) OVER (ORDER BY file_row_number) AS falls
          FROM read_parquet(${sqlString(file.path)}, file_row_number = true)) WHERE falls`,
      )
      unsorted.push(Number(row?.n) > 0)
    }
    assert.equal(unsorted.some(Boolean), !sortByTime)
  }
})

test('files are packed to the target size', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 12)
  const before = await contentOf(bench)
  const files = await liveFilesOf(bench)
  const largest = Math.max(...files.map(({ bytes }) => bytes))
  const targetBytes = largest * 2 + 1_000
  await optimize(bench, { targetBytes })
  const merged = await liveFilesOf(bench)
  assert.ok(merged.length < files.length && merged.length > 4)
  assert.ok(merged.every(({ bytes }) => bytes <= targetBytes))
  assert.deepEqual(await contentOf(bench), before)
})

onEachStorage('appends that come first do not matter', async (bench) => {
  await landBatches(bench, 0, 3)
  const before = await contentOf(bench)
  const storage = new FaultyStorage(bench.storage)
  storage.beforePut.push(
    () => landBatches(bench, 3, 4),
    () => landBatches(bench, 4, 6),
  )
  const report = (await optimize(bench, { storage }))!
  assert.equal(storage.beforePut.length, 0)
  assert.equal((await contentOf(bench)).rows, before.rows + 36)
  // What came meanwhile is merged too, by a second round.
  assert.equal((await liveFilesOf(bench)).length, 4)
  assert.equal(report.tableVersion, 6 + 8)
})

onEachStorage(
  'when another writer has removed a file of a merge, the merge is planned anew',
  async (bench) => {
    await landBatches(bench, 0, 3)
    const before = await contentOf(bench)
    const storage = new FaultyStorage(bench.storage)
    // Another optimize has it all done before this one's first commit.
    storage.beforePut.push(async () => void (await optimize(bench)))
    const report = (await optimize(bench, { storage }))!
    assert.deepEqual(report.partitions, [])
    assert.equal(report.tableVersion, 3 + 4)
    assert.deepEqual(await contentOf(bench), before)
    assert.equal((await liveFilesOf(bench)).length, 4)
    // The loser's file is not left behind.
    assert.equal((await bench.dataFiles()).length, 3 * 4 + 4)
    assert.deepEqual(await stagedMerges(bench), [])
  },
)

test('a replay that replaces rows while files are merged loses nothing', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 3)
  const committer = committerOf(bench)
  await committer.open()
  const range = span(blob, 0, 360)
  const storage = new FaultyStorage(bench.storage)
  storage.beforePut.push(async () => {
    await committer.replace(range, [await encode(bench, range, [{ offset: 5, seed: 5 }])])
  })
  await optimize(bench, { storage })
  assert.equal((await contentOf(bench)).rows, 1)
})

test('a table whose properties change while files are merged is read again', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 3)
  const { metaData } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  const storage = new FaultyStorage(bench.storage)
  const property = 'delta.constraints.positive'
  storage.beforePut.push(() =>
    commitActions(bench, [
      { metaData: { ...metaData, configuration: { ...metaData.configuration, [property]: 'pid > 0' } } },
    ]),
  )
  const before = await contentOf(bench)
  await assert.rejects(optimize(bench, { storage }), isRefused(/delta\.constraints\.positive/))
  assert.deepEqual(await contentOf(bench), before)
  assert.equal((await bench.dataFiles()).length, 12)
})

onEachStorage(
  'a table that is append-only or feeds its changes is merged, since no row changes',
  async (bench) => {
    for (const [index, property] of ['delta.appendOnly', 'delta.enableChangeDataFeed'].entries()) {
      await landBatches(bench, index * 3, index * 3 + 3)
      const { metaData, version } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
      const configuration = { ...metaData.configuration, [property]: 'true' }
      await commitActions(bench, [{ metaData: { ...metaData, configuration } }])
      const before = await contentOf(bench)
      await optimize(bench)
      assert.deepEqual(await contentOf(bench), before)
      assert.equal((await liveFilesOf(bench)).length, 4)
      const merges = (await commitsSince(bench.storage, version + 1)).flatMap(({ actions }) => actions)
      assert.ok(merges.length > 4)
      for (const action of merges) {
        if ('remove' in action) assert.equal(action.remove.dataChange, false)
        if ('add' in action) assert.equal(action.add.dataChange, false)
      }
    }
  },
)

test('a file whose deletion vector lies outside of the table stays and is named', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 3)
  const { files } = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  const add = files!.values().next().value!
  const deletionVector = {
    storageType: 'p',
    pathOrInlineDv: '/elsewhere/deletion_vector_61d16c75-6994-46b7-a15b-8b538852e50e.bin',
    offset: 1,
    sizeInBytes: 36,
    cardinality: 2,
  }
  await commitActions(bench, [{ remove: removalOf(add, 1, true) }, { add: { ...add, deletionVector } }])
  const report = (await optimize(bench))!
  assert.deepEqual(report.refused, [add.path])
  const { files: after } = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  assert.equal(after!.size, 5)
})

test('a column that only newer files have is NULL in the rows of the older ones', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 2)
  const { metaData } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  const schema = JSON.parse(metaData.schemaString) as { fields: object[] }
  const added = ['later', 'never'].map((name) => ({ name, type: 'short', nullable: true, metadata: {} }))
  schema.fields.push(...added)
  await commitActions(bench, [{ metaData: { ...metaData, schemaString: JSON.stringify(schema) } }])
  const staged = `${bench.staging}/later.parquet`
  await bench.engine.run(
    `COPY (SELECT 7::SMALLINT AS later, 'logs/later' AS source_blob) TO ${sqlString(staged)} (FORMAT parquet)`,
  )
  const path = 'event_date=2026-01-01/later.parquet'
  await bench.storage.putFile(staged, path)
  const partitionValues = { event_date: '2026-01-01' }
  await commitActions(bench, [
    { add: { path, partitionValues, size: 500, modificationTime: Date.now(), dataChange: true } },
  ])
  const isFirst = (one: LiveFile) => one.partitionValues.event_date === '2026-01-01'
  const rowsBefore = (await liveFilesOf(bench))
    .filter(isFirst)
    .reduce((sum, { stats }) => sum + (stats === undefined ? 0 : JSON.parse(stats).numRecords), 0)
  await optimize(bench)
  const [file] = (await liveFilesOf(bench)).filter(isFirst)
  const local = await bench.storage.localFile(file!.path)
  const source = `read_parquet(${sqlString(local.path)}, hive_partitioning = false)`
  const described = await bench.engine.rows(`DESCRIBE FROM ${source}`)
  assert.equal(described.length, columns.length)
  assert.deepEqual([described.at(-1)?.column_name, described.at(-1)?.column_type], ['later', 'SMALLINT'])
  assert.deepEqual(
    await bench.engine.rows(
      `SELECT later, count(*)::INTEGER AS n FROM ${source} GROUP BY later ORDER BY later`,
    ),
    [
      { later: 7, n: 1 },
      { later: null, n: rowsBefore },
    ],
  )
})

test('no table is no fault, and none is created', async (t) => {
  const bench = await workbench(t)
  assert.equal(await optimize(bench), undefined)
  assert.deepEqual(await bench.storage.list('_delta_log'), [])
})

test('a merge that is stopped leaves the table and the staging directory as they were', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 4)
  const before = await contentOf(bench)
  const stop = new AbortController()
  const engine = await EmbeddedEngine.open({ temporaryDirectory: `${bench.directory}/spill-2` })
  t.after(() => engine.close())
  const copy = engine.copy.bind(engine)
  engine.copy = async (sql, signal) => {
    setImmediate(() => stop.abort())
    // So many rows that it would take minutes.
    return copy(sql.replace('FROM read_parquet', 'FROM range(100000000000), read_parquet'), signal)
  }
  await assert.rejects(optimize(bench, { engine, signal: stop.signal }), { name: 'AbortError' })
  assert.deepEqual(await contentOf(bench), before)
  assert.deepEqual(
    (await readdir(bench.staging)).filter((name) => name.startsWith('rewrite-')),
    [],
  )

  assert.deepEqual((await optimize(bench, { mayContinue: () => false }))?.partitions, [])
  assert.deepEqual(await contentOf(bench), before)
})
