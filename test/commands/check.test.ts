import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../../src/commands/check.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { openBench, outputOf } from './command-fixture.ts'

const id = '/subscriptions/0a/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-one'
const folder = `resourceId=${id.toUpperCase()}/`

test('each kind of source is described by what is there', async (t) => {
  const bench = await openBench(t)
  const { storage } = bench
  for (const [name, bytes] of [
    ['pg/a.json', 10],
    ['pg/b.json', 20],
    ['pg/b.txt', 1],
    [`${folder}y=2026/m=11/d=23/h=23/m=00/PT1H.json`, 100],
    [`${folder}y=2026/m=11/d=24/h=00/m=00/PT1H.json`, 200],
    [`${folder}notes.txt`, 5],
    ['empty.json', 0],
  ] as const) {
    await storage.append(name, 'x'.repeat(bytes))
  }
  const config = bench.config({
    one: { blob: 'pg/a.json' },
    empty: { blob: 'empty.json' },
    prefix: { blob: 'pg/' },
    pattern: { blob: 'pg/{a,b}.json' },
    nothing: { blob: 'pg/*.gz' },
    monitor: { blob: id },
  })
  const { code, text } = await outputOf(config, check)
  assert.equal(code, 3)
  const told = (name: string): string[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}: `) && !line.includes('no table yet'))
      .map((line) => line.slice(name.length + 2))
  assert.deepEqual(told('one'), ['blob logs/pg/a.json has 10 bytes'])
  assert.deepEqual(told('empty'), ['blob logs/empty.json is empty: a run would wait for its first byte'])
  assert.equal(told('prefix')[0], '3 blobs of 31 bytes under logs/pg/')
  assert.match(told('prefix')[1] ?? '', /^the newest one is pg\/.*, of \d{4}-\d\d-\d\dT.*Z$/)
  assert.equal(told('prefix').length, 2)
  assert.equal(told('pattern')[0], '2 blobs of 30 bytes under logs/pg/{a,b}.json')
  assert.equal(told('pattern')[1], 'the pattern is matched against the 3 blobs under logs/pg/')
  assert.equal(told('pattern').length, 3)
  assert.deepEqual(told('nothing'), [
    '0 blobs of 0 bytes under logs/pg/*.gz',
    'the pattern is matched against the 3 blobs under logs/pg/',
  ])
  assert.deepEqual(told('monitor'), [
    `2 blobs of 300 bytes under logs/${folder}`,
    'the newest hour began at 2026-11-24T00:00:00.000Z',
    `1 other name is skipped, such as ${folder}notes.txt`,
  ])
})

test('a name that is not there is explained, and so is a container', async (t) => {
  const bench = await openBench(t)
  await bench.storage.append('pg/one.json', 'x')
  const config = bench.config({ a: { blob: 'pg/One.json' }, b: { blob: 'PG/' }, c: { blob: id } })
  const { code, text } = await outputOf(config, check)
  assert.equal(code, 3)
  const lines = text.split('\n').filter((line) => !line.includes('no table yet'))
  assert.deepEqual(lines, [
    'a: There is no logs/pg/One.json; similar names: pg/one.json. A run would wait for it.',
    'b: There is no logs/PG/; similar names: pg/. A run would wait for blobs.',
    `c: 0 blobs of 0 bytes under logs/${folder}`,
    '',
  ])
  await bench.storage.container.delete()
  const gone = (await outputOf(config, check)).text
    .split('\n')
    .filter((line) => line.includes('does not exist'))
  assert.equal(gone.length, 3, text)
  assert.ok(gone.every((line) => line.endsWith('A run would wait for it.')))
})

test('a storage that never answers ends the check at its limit, and the process with it', async (t) => {
  const { connectionString } = await startStorage(t)
  const { port } = new URL(/BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '')
  const proxy = await faultyProxy(t, Number(port))
  proxy.plan(() => 'stalled')
  const frozen = connectionString.replace(`:${port}/`, `:${proxy.port}/`)
  const [, endpoint] = /BlobEndpoint=([^;]+)/.exec(frozen) ?? []
  for (const [lakehouse, code, part] of [
    [undefined, 'SOURCE_UNAVAILABLE', 'source'],
    [`${endpoint}/logs/lakehouse`, 'TABLE_UNAVAILABLE', 'table'],
  ] as const) {
    const { configPath } = await writeProject(await temporaryDirectory(t), {
      storage: { kind: 'connection-string', connectionString: frozen },
      pipelines: { primary: { blobs: 'a.json' } },
      ...(lakehouse === undefined ? {} : { lakehouse }),
    })
    const args = ['check', '--config', configPath, '--max-duration', '500ms']
    const { code: exitCode, stderr } = await runTailrace(t, args)
    assert.equal(exitCode, 1, stderr)
    assert.match(stderr, new RegExp(`${code}: The ${part} of pipeline primary was not checked within 500 ms`))
  }
})
