import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import test from 'node:test'
import { landBatches } from '../maintenance/support.ts'
import { workbench } from '../support.ts'
import { archive } from './support.ts'

test('an archive that cannot be merged with a damaged one says which file is damaged', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  await archive(bench)
  await landBatches(bench, 1, 2)
  const folder = '_tailrace/offsets'
  const [damaged] = (await bench.storage.list(folder)).filter((name) => name.endsWith('.parquet'))
  await bench.storage.put(`${folder}/${damaged}`, Buffer.from('damaged'))
  await assert.rejects(archive(bench), {
    code: 'TABLE_CORRUPT',
    message: new RegExp(`${damaged} of the table is damaged`),
  })
})

test('an archive whose staging directory is gone says which directory cannot be used', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  await rm(bench.staging, { recursive: true })
  await assert.rejects(archive(bench), { code: 'DIRECTORY_UNUSABLE' })
})
