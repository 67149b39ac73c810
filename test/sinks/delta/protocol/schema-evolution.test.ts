import assert from 'node:assert/strict'
import { isTailraceError, TailraceError } from '../../../../src/errors.ts'
import type { JsonObject } from '../../../../src/json.ts'
import type { DeltaCommitter } from '../../../../src/sinks/delta/committer.ts'
import {
  commitPath,
  type DeltaAction,
  encodeActions,
  type MetaDataAction,
} from '../../../../src/sinks/delta/protocol/actions.ts'
import { schemaString } from '../../../../src/sinks/delta/protocol/schema.ts'
import type { Column } from '../../../../src/tables/table.ts'
import { FaultyStorage } from '../faulty-storage.ts'
import { onEachStorage } from '../on-each-storage.ts'
import { columns, committerOf, encode, offsetsOf, placesOf, span, type Workbench } from '../support.ts'

const blob = 'logs/pg.json'
const properties = {
  'delta.logRetentionDuration': 'interval 90 days',
  'delta.enableIcebergCompatV0': 'true',
  other: 'kept',
}

/** A table of another writer with fewer columns, in another order, with more of its own. */
async function foreignTable(bench: Workbench, configuration = properties): Promise<MetaDataAction> {
  await bench.storage.prepare()
  const kept = columns.filter(({ name }) => !['query_id', 'message'].includes(name)).reverse()
  const schema = JSON.parse(schemaString(kept)) as { fields: JsonObject[] }
  schema.fields[0]!.metadata = { comment: 'Theirs.', limit: 7 }
  schema.fields.push({ name: 'their own', type: 'decimal(10,2)', nullable: true, metadata: {} })
  const metaData = {
    id: 'a-table',
    name: 'theirs',
    description: 'Not ours.',
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify(schema),
    partitionColumns: ['event_date'],
    configuration,
    createdTime: 1,
  }
  await put(bench, 0, [{ protocol: { minReaderVersion: 1, minWriterVersion: 2 } }, { metaData }])
  return metaData
}

async function put(bench: Workbench, version: number, actions: readonly DeltaAction[]): Promise<void> {
  assert.equal(await bench.storage.putIfAbsent(commitPath(version), encodeActions(actions)), 'created')
}

async function metaDataOf(bench: Workbench, version: number): Promise<MetaDataAction | undefined> {
  const lines = String(await bench.storage.read(commitPath(version)))
    .trim()
    .split('\n')
  return lines.map((line) => JSON.parse(line).metaData).find((found) => found !== undefined)
}

function namesIn(metaData: MetaDataAction | undefined): string[] {
  return JSON.parse(metaData!.schemaString).fields.map(({ name }: { name: string }) => name)
}

async function evolving(bench: Workbench, declared: readonly Column[] = columns): Promise<DeltaCommitter> {
  const committer = committerOf(bench, { evolve: true, columns: declared })
  await committer.open()
  return committer
}

function rowsAt(bench: Workbench, start: number, count = 2, name = blob) {
  const offsets = Array.from({ length: count }, (_, index) => start + index * 10)
  const source = span(name, start, start + count * 10)
  return encode(
    bench,
    source,
    offsets.map((offset) => ({ offset, seed: offset })),
  ).then((batch) => [source, batch] as const)
}

onEachStorage(
  'columns that a table lacks come with the first rows, and everything else of it stays',
  async (bench) => {
    const before = await foreignTable(bench)
    const committer = await evolving(bench)
    await committer.land([span(blob, 0, 10)], { files: [], rows: 0, rejected: 0, partial: 0 })
    assert.equal(await metaDataOf(bench, 1), undefined, 'an offset alone needs no column')

    const [source, batch] = await rowsAt(bench, 10)
    assert.deepEqual(await committer.land([source], batch), { tableVersion: 2 })
    const after = await metaDataOf(bench, 2)
    const { fields } = JSON.parse(before.schemaString)
    assert.deepEqual(after, {
      ...before,
      schemaString: JSON.stringify({
        type: 'struct',
        fields: [
          ...fields,
          { name: 'query_id', type: 'long', nullable: true, metadata: { comment: 'Beyond 2^53.' } },
          { name: 'message', type: 'string', nullable: true, metadata: { comment: 'A text.' } },
        ],
      }),
    })
    const adds = String(await bench.storage.read(commitPath(2)))
      .trim()
      .split('\n')
      .flatMap((line) => JSON.parse(line).add ?? [])
    for (const { stats } of adds) assert.ok('query_id' in JSON.parse(stats).nullCount, 'it has statistics')

    const [next, more] = await rowsAt(bench, 30)
    await committer.land([next], more)
    assert.equal(await metaDataOf(bench, 3), undefined, 'only once')
    assert.deepEqual(
      (await placesOf(bench)).map(([, offset]) => offset),
      [10, 20, 30, 40],
    )
  },
)

onEachStorage('without evolution, a missing column refuses the table and names the option', async (bench) => {
  await foreignTable(bench)
  await assert.rejects(
    committerOf(bench).open(),
    (error) =>
      isTailraceError(error, 'TABLE_SCHEMA_MISMATCH') &&
      /column query_id \(long\) is missing, which `sink\.evolve: true` would add/.test(error.message),
  )
})

onEachStorage('a replacement adds the columns too, and one without rows does not', async (bench) => {
  await foreignTable(bench)
  const committer = await evolving(
    bench,
    columns.filter(({ name }) => !['query_id', 'message'].includes(name)),
  )
  const [source, batch] = await rowsAt(bench, 0, 4)
  await committer.land([source], batch)

  const wider = await evolving(bench)
  await wider.replace(span(blob, 0, 10), [])
  assert.equal(await metaDataOf(bench, 2), undefined)
  const [, again] = await rowsAt(bench, 20)
  assert.deepEqual(await wider.replace(span(blob, 20, 40), [again]), { removedRows: 2, tableVersion: 3 })
  assert.deepEqual(namesIn(await metaDataOf(bench, 3)).slice(-2), ['query_id', 'message'])
  assert.deepEqual(await offsetsOf(bench, blob), [10, 20, 30])
})

onEachStorage(
  'a schema that another writer changed meanwhile is built upon and not undone',
  async (bench) => {
    const before = await foreignTable(bench)
    const committer = await evolving(bench)
    const { fields } = JSON.parse(before.schemaString)
    const theirs = { name: 'message', type: 'string', nullable: true, metadata: { comment: 'Their text.' } }
    await put(bench, 1, [
      {
        metaData: {
          ...before,
          configuration: { other: 'changed' },
          schemaString: JSON.stringify({ type: 'struct', fields: [...fields, theirs] }),
        },
      },
    ])
    const [source, batch] = await rowsAt(bench, 0)
    assert.deepEqual(await committer.land([source], batch), { tableVersion: 2 })
    const after = await metaDataOf(bench, 2)
    assert.deepEqual(after?.configuration, { other: 'changed' })
    assert.deepEqual(JSON.parse(after!.schemaString).fields.slice(-2), [
      theirs,
      { name: 'query_id', type: 'long', nullable: true, metadata: { comment: 'Beyond 2^53.' } },
    ])
    assert.equal((await bench.dataFiles()).length, batch.files.length, 'nothing of the first attempt is left')
    assert.deepEqual(await offsetsOf(bench, blob), [0, 10])
  },
)

onEachStorage('two writers that add the same columns at once add them once', async (bench) => {
  await foreignTable(bench)
  const committers = await Promise.all(['a', 'b', 'c'].map(() => evolving(bench)))
  await Promise.all(
    committers.map(async (committer, index) => {
      const [source, batch] = await rowsAt(bench, 0, 2, `logs/${index}`)
      await committer.land([source], batch)
    }),
  )
  const changes = await Promise.all([1, 2, 3].map((version) => metaDataOf(bench, version)))
  assert.equal(changes.filter((change) => change !== undefined).length, 1)
  assert.equal((await placesOf(bench)).length, 6)
})

onEachStorage(
  'a column that another writer adds with another type meanwhile refuses the batch',
  async (bench) => {
    const before = await foreignTable(bench)
    const committer = await evolving(bench)
    const { fields } = JSON.parse(before.schemaString)
    const theirs = { name: 'message', type: 'long', nullable: true, metadata: {} }
    await put(bench, 1, [
      {
        metaData: {
          ...before,
          schemaString: JSON.stringify({ type: 'struct', fields: [...fields, theirs] }),
        },
      },
    ])
    const [source, batch] = await rowsAt(bench, 0)
    await assert.rejects(
      committer.land([source], batch),
      (error) =>
        isTailraceError(error, 'TABLE_SCHEMA_MISMATCH') &&
        /message is long, expected string/.test(error.message),
    )
    assert.deepEqual(await bench.dataFiles(), [])
  },
)

onEachStorage('columns that vanish while a batch is landed are added again with it', async (bench) => {
  const before = await foreignTable(bench)
  const committer = await evolving(bench)
  const [source, batch] = await rowsAt(bench, 0)
  await committer.land([source], batch)
  await put(bench, 2, [{ metaData: before }])
  const [next, more] = await rowsAt(bench, 20)
  assert.deepEqual(await committer.land([next], more), { tableVersion: 3 })
  assert.deepEqual(namesIn(await metaDataOf(bench, 3)).slice(-2), ['query_id', 'message'])
})

onEachStorage(
  'a commit that fails leaves the schema as it was, and the next one adds the columns',
  async (bench) => {
    await foreignTable(bench)
    const storage = new FaultyStorage(bench.storage)
    const committer = committerOf(bench, { storage, evolve: true })
    await committer.open()
    const [source, batch] = await rowsAt(bench, 0)
    storage.failNext(new TailraceError('TABLE_DENIED', 'No.'))
    await assert.rejects(committer.land([source], batch))
    assert.deepEqual(await bench.storage.list('_delta_log'), ['00000000000000000000.json'])
    await committer.land([source], batch)
    assert.deepEqual(namesIn(await metaDataOf(bench, 1)).slice(-2), ['query_id', 'message'])
    assert.deepEqual(await offsetsOf(bench, blob), [0, 10])
  },
)
