import assert from 'node:assert/strict'
import test from 'node:test'
import { logFile, logListing } from '../../../../src/sinks/delta/log/listing.ts'

const at = (version: number) => String(version).padStart(20, '0')
const part = (version: number, index: number, count: number) =>
  `${at(version)}.checkpoint.${String(index).padStart(10, '0')}.${String(count).padStart(10, '0')}.parquet`
const uuid = '80a083e8-7026-4e79-81be-64bd76c43a11'

test('a listing names commits and complete checkpoints, the newest first, and nothing else', () => {
  const names = [
    `${at(10)}.json`,
    `${at(9)}.json`,
    `${at(9)}.crc`,
    `${at(8)}.${at(9)}.compacted.json`,
    `${at(9)}.checkpoint.parquet`,
    `${at(10)}.checkpoint.${uuid}.json`,
    `${at(7)}.checkpoint.${uuid}.parquet`,
    ...[part(8, 2, 2), part(8, 1, 2)],
    ...[part(6, 1, 3), part(6, 3, 3)],
    `${at(5)}.checkpoint.part.parquet`,
    `.${at(11)}.json.tmp`,
    `${at(12)}.json.bak`,
    '_last_checkpoint',
    '_staged_commits',
    '_sidecars',
  ]
  const { commits, checkpoints } = logListing(names)
  assert.deepEqual(commits, [9, 10])
  assert.deepEqual(checkpoints, [
    { version: 10, names: [`${at(10)}.checkpoint.${uuid}.json`], format: 'json' },
    { version: 9, names: [`${at(9)}.checkpoint.parquet`], format: 'parquet' },
    { version: 8, names: [part(8, 1, 2), part(8, 2, 2)], format: 'parquet' },
    { version: 7, names: [`${at(7)}.checkpoint.${uuid}.parquet`], format: 'parquet' },
  ])
})

test('parts of two attempts at one checkpoint are not mixed', () => {
  const { checkpoints } = logListing([part(4, 1, 2), part(4, 2, 3), part(4, 3, 3)])
  assert.deepEqual(checkpoints, [])
})

test('only files of the log have a kind and a version', () => {
  assert.deepEqual(logFile(`${at(3)}.json`), { version: 3, kind: 'commit' })
  assert.deepEqual(logFile(`${at(3)}.crc`), { version: 3, kind: 'checksum' })
  assert.deepEqual(logFile(`${at(3)}.${at(5)}.compacted.json`), { version: 3, kind: 'compaction' })
  assert.deepEqual(logFile(part(3, 1, 2)), { version: 3, kind: 'checkpoint' })
  for (const name of ['_last_checkpoint', 'readme.json', '3.json', `${at(3)}.json.tmp`]) {
    assert.equal(logFile(name), undefined)
  }
})
