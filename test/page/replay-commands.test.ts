import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { RecordDetails, RecordPage } from '../../src/page/api.ts'
import { landAll, lines, openBench } from '../commands/command-fixture.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { containerName } from '../support/storage.ts'
import { servePage } from './served-page.ts'

const hooks = sharedHooks()
const bench = await openBench(hooks)
const table = 'test.logs.shared'
const config = bench.config({
  primary: { table },
  replica: { table },
  packed: { table, blob: 'packed.gz' },
})
await bench.storage.append('primary', lines(0, 3))
await bench.storage.append('replica', lines(0, 3))
await bench.storage.append('packed.gz', gzipSync(lines(0, 2)))
await bench.storage.append('packed.gz', gzipSync(lines(2, 2)))
await landAll(config)
// Created anew, with fewer bytes.
await bench.storage.container.getAppendBlobClient('primary').create()
await bench.storage.append('primary', lines(10, 1))
await landAll(config)
const page = await servePage(hooks, config)

/** The commands of all records of a blob, in the order of their generations and offsets. */
async function commandsOf(blob: string): Promise<string[]> {
  const { records } = await page.json<RecordPage>('/api/records?limit=100')
  const own = records.filter((one) => one.blob === `${containerName}/${blob}`)
  own.sort((a, b) =>
    a.generation < b.generation ? -1 : a.generation > b.generation ? 1 : a.offset - b.offset,
  )
  return Promise.all(
    own.map(async ({ generation, offset, index, ...record }) => {
      const place = `table=${record.table}&blob=${record.blob}&generation=${generation}&offset=${offset}&index=${index}`
      return (await page.json<RecordDetails>(`/api/record?${place}`)).replayCommand
    }),
  )
}

test('the command that lands a line again names the pipeline of its blob, also where several share a table', async () => {
  const commands = await commandsOf('replica')
  assert.equal(commands.length, 3)
  for (const command of commands)
    assert.match(command, /^tailrace replay --pipeline replica --blob \S+ --from \d+ --to \d+$/)
})

test('a compressed blob is landed again as a whole', async () => {
  const command = `tailrace replay --pipeline packed --blob ${containerName}/packed.gz --from 0`
  assert.deepEqual(await commandsOf('packed.gz'), Array(4).fill(command))
})

test('for a line of an earlier generation there is no command, because it would land the lines of a later one', async () => {
  const commands = await commandsOf('primary')
  assert.deepEqual(
    commands.map((command) => command.slice(0, 24)),
    [...Array(3).fill('# the blob was overwritt'), 'tailrace replay --pipeli'],
  )
})
