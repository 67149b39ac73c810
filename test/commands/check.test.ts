import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
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

test('the log_line_prefix of each server is read off the first lines of the newest blob', async (t) => {
  const bench = await openBench(t)
  const time = '2026-11-24 08:54:35.875 UTC'
  const docker = (host: string, text: string): string =>
    JSON.stringify({ log: `${text}\n`, kubernetes: { pod_name: host } })
  const blobs: Readonly<Record<string, readonly string[]>> = {
    common: [
      `${time} [7] LOG:  a`,
      `${time} [7] ERROR:  b`,
      '\tand more',
      `${time} [7] STATEMENT:  select 1`,
    ],
    form: [
      '[7] LOG:  no session',
      '[8] u@d 10.0.0.1(5000) ERROR:  a',
      '[9] v@d 10.0.0.2(5001) FEHLER:  b',
      '<8> LOG:  c',
    ],
    servers: [
      docker('pg-0', `${time} [7] LOG:  a`),
      docker('pg-1', `${time} [7] LOG:  a`),
      docker('pg-1', `${time} [7] LOG:  b`),
    ],
    jsonlog: [
      '{"timestamp":"2026-11-24 08:54:35.875 UTC","pid":7,"error_severity":"LOG","message":"LOG:  x"}',
    ],
  }
  for (const [name, lines] of Object.entries(blobs)) await bench.storage.append(name, `${lines.join('\n')}\n`)
  await bench.storage.append('unfinished', `${time} [7] LOG:  a`)
  const { code, text } = await outputOf(
    bench.config({ ...Object.fromEntries(Object.keys(blobs).map((name) => [name, {}])), unfinished: {} }),
    check,
  )
  assert.equal(code, 0)
  const said = text.split('\n').filter((line) => line.includes('prefix'))
  assert.deepEqual(said, [
    "common: log_line_prefix '%m [%p] ' reads 3 of the first 3 text lines of logs/common",
    "form: log_line_prefix '[%p] %q%u@%d %r ', found by the form of its parts, reads 3 of the first 4 text lines of logs/form",
    "form: the prefixes of 1 of the first 4 text lines of logs/form are not read whole, the first one at byte 88: name the server's log_line_prefix in the table's prefixes",
    "servers: server pg-1: log_line_prefix '%m [%p] ' reads 2 of the first 3 text lines of logs/servers",
    "servers: server pg-0: log_line_prefix '%m [%p] ' reads 1 of the first 3 text lines of logs/servers",
  ])
})

test('the log_line_prefix is read off the newest blob of each server, of 20 servers at most', async (t) => {
  const bench = await openBench(t)
  const time = '2026-11-24 08:54:35.875 UTC'
  const blobOf = (server: number, hour: string): string =>
    `${folder.replace(/[^/]+\/$/, `PG${server}/`)}y=2026/m=11/d=24/h=${hour}/m=00/PT1H.json`
  const lineOf = (server: number): string => {
    if (server === 0) return '<8> LOG:  c'
    return server === 1 ? `[8] u@d 10.0.0.1(5000) ERROR:  a` : `${time} [7] LOG:  a`
  }
  const append = (server: number, hour: string, line: string) =>
    bench.storage.append(blobOf(server, hour), `${line}\n`)
  for (const server of [0, 1, 2]) {
    await append(server, '00', 'older')
    // Storage dates blobs by the second.
    await delay(1_100)
    await append(server, '01', lineOf(server))
  }
  const group = id.replace(/\/providers\/.*/i, '')
  const prefixes = async () => {
    const { text } = await outputOf(bench.config({ monitor: { blob: group } }), check)
    return text.split('\n').filter((line) => line.includes('lines'))
  }
  assert.deepEqual(await prefixes(), [
    `monitor: log_line_prefix '%m [%p] ' reads 1 text lines at the beginning of the newest blobs of 1 server, such as logs/${blobOf(2, '01')}`,
    `monitor: log_line_prefix '[%p] %u@%d %r ', found by the form of its parts, reads 1 text lines at the beginning of the newest blobs of 1 server, such as logs/${blobOf(1, '01')}`,
    `monitor: the prefixes of 1 of the first 1 text lines of logs/${blobOf(0, '01')} are not read whole, the first one at byte 0: name the server's log_line_prefix in the table's prefixes`,
  ])
  // Each text is a statement of the engine; blobs without one are read as well.
  for (let server = 3; server < 23; server += 1) await append(server, '01', server < 21 ? '' : lineOf(server))
  const all = await prefixes()
  assert.match(all[0] ?? '', /newest blobs of 2 servers, such as/)
  assert.equal(all.at(-1), 'monitor: the first lines of the newest blobs of 20 servers were read, of 23')
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
