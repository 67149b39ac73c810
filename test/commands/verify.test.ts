import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { replayCommand } from '../../src/commands/replay.ts'
import { status } from '../../src/commands/status.ts'
import { verify } from '../../src/commands/verify.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { commitOffset, landAll, lines, openBench, outputOf } from './command-fixture.ts'

interface Verdict {
  readonly rows: number
  readonly blankBytes: number
  readonly droppedBytes: number
  readonly unexplainedBytes: number
  readonly overlappingRows: number
  readonly complete: boolean
}

async function verdictOf(config: ResolvedConfig, pipeline: string): Promise<Verdict & { code: number }> {
  const { code, text } = await outputOf(config, (context) => verify(context, pipeline, true))
  const { blobs } = JSON.parse(text) as { blobs: Verdict[] }
  assert.equal(blobs.length, 1)
  return { ...blobs[0]!, code }
}

test('a blob with a committed offset and no row is incomplete, unless a transform may have dropped its lines', async (t) => {
  const bench = await openBench(t)
  const content = lines(0, 5)
  const plain = bench.config({ lost: {} })
  await bench.storage.append('lost', content)
  await commitOffset(bench, plain, 'lost', 'lost', content.length)
  const lost = await verdictOf(plain, 'lost')
  assert.deepEqual([lost.code, lost.complete, lost.unexplainedBytes], [1, false, content.length])

  const dropping = await verdictOf(bench.config({ lost: { transforms: [() => null] } }), 'lost')
  assert.deepEqual([dropping.code, dropping.complete, dropping.droppedBytes], [0, true, content.length])
})

test('a blob of blank lines is complete, and so is a latest one without a row, whose start is unknown', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ blank: {}, late: { coldStart: 'latest' } })
  await bench.storage.append('blank', '\n \n\r\n')
  await bench.storage.append('late', lines(0, 3))
  await landAll(config)
  const blank = await verdictOf(config, 'blank')
  assert.deepEqual([blank.code, blank.rows, blank.blankBytes], [0, 0, 5])
  const late = await verdictOf(config, 'late')
  assert.deepEqual([late.code, late.rows, late.unexplainedBytes], [0, 0, 0])
})

test('rows behind the committed offset, as a run lands them meanwhile, are not judged', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ running: {} })
  const [first, second] = [lines(0, 5), lines(5, 5)]
  await bench.storage.append('running', first)
  await landAll(config)
  await bench.storage.append('running', second)
  await landAll(config)
  // As if the offset had been read just before the second batch was committed, and the rows just after.
  const log = join(bench.directory, 'lakehouse', 'test', 'logs', 'running', '_delta_log')
  const newest = join(
    log,
    (await readdir(log))
      .filter((name) => /^\d{20}\.json$/.test(name))
      .sort()
      .at(-1)!,
  )
  const commit = await readFile(newest, 'utf8')
  const earlier = commit.replace(`"version":${first.length + second.length}`, `"version":${first.length}`)
  assert.notEqual(earlier, commit)
  await writeFile(newest, earlier)
  const { code, rows, overlappingRows, unexplainedBytes } = await verdictOf(config, 'running')
  assert.deepEqual([code, rows, overlappingRows, unexplainedBytes], [0, 5, 0, 0])
})

test('gzip with an empty member, one of a blank line, and padding is complete', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ zip: {} })
  const members = [lines(0, 5), Buffer.alloc(0), Buffer.from('\n'), lines(5, 5)].map((part) => gzipSync(part))
  await bench.storage.append('zip', Buffer.concat([...members, Buffer.alloc(16)]))
  await landAll(config)
  const { code, rows, unexplainedBytes } = await verdictOf(config, 'zip')
  assert.deepEqual([code, rows, unexplainedBytes], [0, 10, 0])
})

test('a blank line of a replaced generation has unknown content, and is no failure', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ over: {} })
  await bench.storage.append('over', Buffer.concat([lines(0, 3), Buffer.from('\n'), lines(3, 3)]))
  await landAll(config)
  await bench.storage.container.getAppendBlobClient('over').create()
  await bench.storage.append('over', lines(10, 3))
  await landAll(config)
  const { code, text } = await outputOf(config, (context) => verify(context, 'over', true))
  const { blobs } = JSON.parse(text) as { blobs: { rows: number; goneBytes: number }[] }
  assert.equal(code, 0)
  assert.deepEqual(
    blobs.map(({ rows, goneBytes }) => [rows, goneBytes]),
    [
      [6, 1],
      [3, 0],
    ],
  )
  const told = await outputOf(config, (context) => status(context, 'over', false))
  assert.match(told.text, /over: 1 blobs were replaced: lines that are in .* are in the table twice/)
})

test('of a block blob that grows by being written anew, a document or lines, only what is new lands', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ document: {}, lines: {} })
  const blockBlob = (name: string) => bench.storage.container.getBlockBlobClient(name)
  const record = (number: number) => lines(number, 1).toString().trimEnd()
  const upload = (name: string, text: string) => blockBlob(name).upload(text, Buffer.byteLength(text))
  await upload('document', `{"records":[${record(0)},${record(1)}]}`)
  await upload('lines', `${record(0)}\n${record(1)}\n`)
  await landAll(config)

  // As Azure's own writers do: the same blocks, and another one before the last. The creation instant stays.
  const commit = async (blocks: readonly string[]): Promise<void> => {
    const client = blockBlob('document')
    const ids = blocks.map((_block, index) => Buffer.from(`block-${index}`).toString('base64'))
    for (const [index, block] of blocks.entries())
      await client.stageBlock(ids[index]!, block, Buffer.byteLength(block))
    await client.commitBlockList(ids)
  }
  const blocks = [`{"records":[${record(0)},${record(1)}`, `,${record(2)}`, ']}']
  await commit(blocks)
  await upload('lines', `${record(0)}\n${record(1)}\n${record(2)}\n`)
  await landAll(config)
  for (const name of ['document', 'lines']) {
    const { code, rows, overlappingRows } = await verdictOf(config, name)
    assert.deepEqual([name, code, rows, overlappingRows], [name, 0, 3, 0])
  }

  await rm(config.stateDirectory, { recursive: true })
  await commit(blocks.toSpliced(2, 0, `,${record(3)}`))
  const replayed = () =>
    outputOf(config, (context) => replayCommand(context, { pipeline: 'document', blob: 'document', from: 0 }))
  await assert.rejects(replayed(), /has grown: let the pipeline land its new records first/)
  await landAll(config)
  assert.equal((await verdictOf(config, 'document')).rows, 4)
  assert.deepEqual(JSON.parse((await replayed()).text).removedRows, 4)
  const { code, rows } = await verdictOf(config, 'document')
  assert.deepEqual([code, rows], [0, 4])
})
