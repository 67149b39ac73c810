import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { readHistory } from '../../../../src/sinks/delta/log/history.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { type AddAction, commitPath, type RemovedFile } from '../../../../src/sinks/delta/protocol/actions.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { createPipelineView } from '../../../../src/sinks/delta/query/views.ts'
import { markDeleted } from '../deletion-vectors.ts'
import { FaultyStorage } from '../faulty-storage.ts'
import { blob, commitsSince, landBatches, optimize } from '../maintenance/support.ts'
import { onEachStorage } from '../on-each-storage.ts'
import { committerOf, encode, offsetsOf, rowsOf, span, type Workbench, workbench } from '../support.ts'

/** The offsets of 24 rows in two batches, without those that a condition deletes. */
function offsetsWithout(isDeleted: (offset: number) => boolean): number[] {
  return Array.from({ length: 24 }, (_, index) => index * 10).filter((offset) => !isDeleted(offset))
}

/** The offsets that a query sees. */
async function queried(bench: Workbench, where = 'true'): Promise<number[]> {
  const view = await createPipelineView(bench.engine, 'one', bench.storage)
  const rows = await bench.engine.rows(
    `SELECT source_offset FROM ${view} WHERE ${where} ORDER BY source_offset`,
  )
  return rows.map((row) => Number(row.source_offset))
}

async function vectorsOf(bench: Workbench, version?: number) {
  const { files } = (await readTable(bench.storage, bench.engine, version))!
  return files.flatMap(({ deletionVector }) => deletionVector ?? [])
}

onEachStorage('rows that another engine deleted are no longer read, and were there before', async (bench) => {
  await landBatches(bench, 0, 2)
  const left = offsetsWithout((offset) => offset % 40 === 0)
  await markDeleted(bench, 'source_offset % 40 = 0')
  assert.ok((await vectorsOf(bench)).length > 1)
  assert.deepEqual(await queried(bench), left)
  assert.deepEqual(
    await queried(bench, 'source_offset BETWEEN 50 AND 130'),
    left.filter((offset) => offset >= 50 && offset <= 130),
  )
  assert.equal((await rowsOf(bench)).length, left.length)
  // Deleting more replaces the vectors.
  await markDeleted(bench, 'source_offset % 40 = 10', { folder: 'ab' })
  assert.deepEqual(
    await queried(bench),
    offsetsWithout((offset) => offset % 40 < 20),
  )
  assert.deepEqual(await vectorsOf(bench, 2), [])
  const history = (await readHistory(bench.storage, 10))!
  const marked = history.commits[1]!
  assert.ok(marked.addedFiles > 0 && marked.addedFiles === marked.removedFiles)
  const before = (await readTable(bench.storage, bench.engine, 3))!.files.filter(
    (file) => file.deletionVector,
  )
  assert.equal(
    marked.addedRows,
    before.reduce(
      (sum, { stats, deletionVector }) => sum + JSON.parse(stats!).numRecords - deletionVector!.cardinality,
      0,
    ),
  )
})

onEachStorage('vectors in the log itself are read like those in files', async (bench) => {
  await landBatches(bench, 0, 2)
  await markDeleted(bench, 'source_offset IN (0, 110, 120)', { inline: true })
  assert.deepEqual(
    await queried(bench),
    offsetsWithout((offset) => [0, 110, 120].includes(offset)),
  )
})

onEachStorage('a table with deletion vectors is appended to, and its vectors stay', async (bench) => {
  await landBatches(bench, 0, 2)
  await markDeleted(bench, 'source_offset % 20 = 0')
  const vectors = await vectorsOf(bench)
  await landBatches(bench, 2, 3)
  assert.deepEqual(await vectorsOf(bench), vectors)
  assert.deepEqual(await queried(bench), [
    ...offsetsWithout((offset) => offset % 20 === 0),
    ...Array.from({ length: 12 }, (_, index) => 240 + index * 10),
  ])
})

onEachStorage('a checkpoint keeps the vectors of live and of removed files', async (bench) => {
  await landBatches(bench, 0, 2)
  await markDeleted(bench, 'source_offset % 20 = 0')
  await markDeleted(bench, 'source_offset % 20 = 10 AND source_offset < 50', { inline: true })
  const kept = { keepFiles: true, keepRemoved: true }
  const before = (await loadState(bench.storage, bench.engine, kept))!
  const { version, protocol, metaData, transactions, domains } = before
  await writeCheckpoint(
    { version, protocol, metaData, previous: -1, transactions: transactions.size, domains: domains.size },
    { storage: bench.storage, engine: bench.engine, stagingDirectory: bench.staging },
    Date.now(),
  )
  for (let old = 0; old <= version; old += 1) await bench.storage.remove(commitPath(old))
  const after = (await loadState(bench.storage, bench.engine, kept))!
  assert.equal(after.checkpointVersion, version)
  // An absent offset and an undefined one mean the same.
  const withOffset = <File extends RemovedFile | AddAction>({ deletionVector, ...file }: File) => ({
    ...file,
    deletionVector: deletionVector && { ...deletionVector, offset: deletionVector.offset },
  })
  const vectors = (state: typeof before) =>
    new Map(Array.from(state.files!, ([key, file]) => [key, withOffset(file).deletionVector] as const).sort())
  const removals = ({ removed }: typeof before) =>
    new Map(Array.from(removed!, ([key, file]) => [key, withOffset(file)] as const).sort())
  assert.deepEqual(vectors(after), vectors(before))
  assert.deepEqual(removals(after), removals(before))
  assert.ok([...after.removed!.values()].some(({ deletionVector }) => deletionVector !== undefined))
})

onEachStorage('a replay brings back no deleted row, and removes each file with its vector', async (bench) => {
  await landBatches(bench, 0, 2)
  await markDeleted(bench, 'source_offset % 40 = 0')
  const { files: before } = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  const committer = committerOf(bench)
  await committer.open()
  const range = span(blob, 0, 60)
  const version = committer.tableVersion
  const receipt = await committer.replace(range, [await encode(bench, range, [{ offset: 5, seed: 1 }])])
  // Of the six rows of the range, 0 and 40 were deleted.
  assert.equal(receipt.removedRows, 4)
  assert.deepEqual(await offsetsOf(bench, blob), [
    5,
    ...offsetsWithout((offset) => offset % 40 === 0 || offset < 60),
  ])
  const [commit] = await commitsSince(bench.storage, version)
  const removed = commit!.actions.flatMap((action) => ('remove' in action ? action.remove : []))
  assert.ok(removed.some(({ deletionVector }) => deletionVector !== undefined))
  const marked = new Map(Array.from(before!.values(), ({ path, deletionVector }) => [path, deletionVector]))
  for (const { path, deletionVector } of removed) assert.deepEqual(deletionVector, marked.get(path))
  const added = commit!.actions.flatMap((action) => ('add' in action ? action.add : []))
  assert.ok(added.every(({ deletionVector }) => deletionVector === undefined))
  const { files } = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  assert.equal(new Set(Array.from(files!.values(), ({ path }) => path)).size, files!.size)
})

onEachStorage('merged files have neither deleted rows nor vectors', async (bench) => {
  await landBatches(bench, 0, 3)
  await markDeleted(bench, 'source_offset % 40 = 0')
  const before = await rowsOf(bench)
  const report = (await optimize(bench))!
  assert.deepEqual(report.refused, [])
  assert.equal(
    report.partitions.reduce((sum, { rows }) => sum + rows, 0),
    before.length,
  )
  assert.deepEqual(await rowsOf(bench), before)
  assert.deepEqual(await vectorsOf(bench), [])
  const { files } = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  assert.equal(files!.size, 4)
})

onEachStorage('files of which every row is deleted are merged into nothing', async (bench) => {
  await landBatches(bench, 0, 2)
  await markDeleted(bench, 'true')
  assert.deepEqual(await queried(bench), [])
  await optimize(bench)
  assert.deepEqual((await readTable(bench.storage, bench.engine))?.files, [])
})

onEachStorage('rows deleted while their files are merged or replaced stay deleted', async (bench) => {
  await landBatches(bench, 0, 2)
  const storage = new FaultyStorage(bench.storage)
  storage.beforePut.push(async () => void (await markDeleted(bench, 'source_offset % 40 = 0')))
  await optimize(bench, { storage })
  assert.equal(storage.beforePut.length, 0)
  assert.deepEqual(
    await queried(bench),
    offsetsWithout((offset) => offset % 40 === 0),
  )

  const committer = committerOf(bench, { storage })
  await committer.open()
  storage.beforePut.push(async () => void (await markDeleted(bench, 'source_offset % 40 = 10')))
  // Of the three rows that were left when it began, one was deleted meanwhile.
  assert.equal((await committer.replace(span(blob, 0, 50), [])).removedRows, 2)
  assert.equal(storage.beforePut.length, 0)
  assert.deepEqual(
    await queried(bench),
    offsetsWithout((offset) => offset % 40 < 20 || offset < 50),
  )
})

test('an empty deletion vector is corrupt, and null is none', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  const { files, version } = (await loadState(bench.storage, bench.engine, { keepFiles: true }))!
  const again = (index: number, deletionVector: unknown) =>
    bench.storage.putIfAbsent(
      commitPath(version + index),
      Buffer.from(`${JSON.stringify({ add: { ...[...files!.values()][0], deletionVector } })}\n`),
    )
  await again(1, null)
  assert.deepEqual(
    await queried(bench),
    offsetsWithout((offset) => offset >= 120),
  )
  await again(2, {})
  await assert.rejects(queried(bench), (error) => isTailraceError(error, 'TABLE_CORRUPT'))
})

test('without its vector a file is not read, not replaced and not merged', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 2)
  const path = await markDeleted(bench, 'source_offset % 40 = 0')
  const rows = await rowsOf(bench)
  const whole = (await bench.storage.read(path))!
  const torn = Buffer.from(whole)
  torn[20]! ^= 1
  const range = span(blob, 0, 60)
  const committer = committerOf(bench)
  await committer.open()
  for (const bytes of [undefined, torn]) {
    await bench.storage.remove(path)
    if (bytes !== undefined) await bench.storage.put(path, bytes)
    const files = await bench.dataFiles()
    const isCorrupt = (error: unknown) =>
      isTailraceError(error, 'TABLE_CORRUPT') && error.message.includes(path)
    await assert.rejects(queried(bench), isCorrupt)
    await assert.rejects(committer.replace(range, []), isCorrupt)
    assert.deepEqual(await bench.dataFiles(), files)
    await assert.rejects(optimize(bench), isCorrupt)
  }
  await bench.storage.put(path, whole)
  assert.deepEqual(await rowsOf(bench), rows)
  assert.equal((await committer.replace(range, [])).removedRows, 4)
})
