import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { PipelineConfig } from '../../../src/config/options.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import { isTailraceError } from '../../../src/errors.ts'
import { landInMemory, MemoryBlobs } from '../../../src/run/testing.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { jsonlogLine, linesAsBytes } from '../../support/log-lines.ts'

/** A pipeline whose storage and table nothing may reach. */
function configOf(more: Partial<PipelineConfig> & { readonly blobs: PipelineConfig['source']['blobs'] }) {
  const { blobs, ...rest } = more
  const one: PipelineConfig = {
    source: { storage: { kind: 'account', account: 'nowhere' }, container: 'logs', blobs },
    table: postgresLogs('a.b.c', { serverName: 'orders' }),
    sink: { kind: 'delta', root: '/no/such/directory' },
    ...rest,
  }
  return resolveConfig({ pipelines: { one } }, '/')
}

test('a whole pipeline runs in memory: blobs chosen by pattern, formats, transforms, table, rejects and offsets', async () => {
  const config = configOf({
    blobs: 'pg/**/*.json*',
    transforms: [
      (record) => (record.message === 'drop' ? null : { ...record, message: `${record.message}!` }),
    ],
  })
  const blobs = new MemoryBlobs()
  blobs.append('pg/1.json', linesAsBytes([jsonlogLine(0, 'first'), 'no JSON', jsonlogLine(1, 'drop')]))
  blobs.append('pg/2/2.json.gz', gzipSync(linesAsBytes([jsonlogLine(2, 'zipped')])))
  blobs.append('other/3.json', linesAsBytes([jsonlogLine(3, 'of nobody')]))
  blobs.append('pg/1.json', linesAsBytes([jsonlogLine(4, 'half')]).subarray(0, 40))
  const table = await landInMemory(config, { pipeline: 'one', blobs })
  const cells = () =>
    table.rows.map(({ source_blob, message, parse_status }) => [source_blob, message, parse_status])
  assert.deepEqual(cells().toSorted(), [
    ['logs/pg/1.json', null, 'rejected'],
    ['logs/pg/1.json', 'first!', 'ok'],
    ['logs/pg/2/2.json.gz', 'zipped!', 'ok'],
  ])
  assert.deepEqual([...new Set(table.rows.map(({ server_name }) => server_name))].toSorted(), [
    null,
    'orders',
  ])

  // What is appended, and what is there anew, lands behind it; nothing lands again.
  blobs.append('pg/1.json', linesAsBytes([jsonlogLine(4, 'half')]).subarray(40))
  blobs.replace('pg/2/2.json.gz', gzipSync(linesAsBytes([jsonlogLine(5, 'again')])))
  assert.equal(await landInMemory(config, { pipeline: 'one', blobs, table }), table)
  assert.deepEqual(cells().slice(3).toSorted(), [
    ['logs/pg/1.json', 'half!', 'ok'],
    ['logs/pg/2/2.json.gz', 'again!', 'ok'],
  ])
  assert.equal([...table.offsets].length, 3)
})

test('blobs in memory are listed by folders, as Azure Monitor writes them', async () => {
  const server =
    '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders'
  const blobs = new MemoryBlobs()
  for (const hour of ['08', '09'])
    blobs.append(
      `resourceId=${server.toUpperCase()}/y=2026/m=01/d=01/h=${hour}/m=00/PT1H.json`,
      linesAsBytes([jsonlogLine(Number(hour), `hour ${hour}`)]),
    )
  const config = configOf({ blobs: { azureMonitor: server } })
  const { rows } = await landInMemory(config, { pipeline: 'one', blobs })
  assert.deepEqual(rows.map(({ message }) => message).toSorted(), ['hour 08', 'hour 09'])
})

test('records of several servers have the name in the path of their blob and the role of the config, unless they name their own', async () => {
  const subscription = '/subscriptions/0a0a'
  const folder = (name: string): string =>
    `resourceId=${subscription.toUpperCase()}/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/${name}/y=2026/m=01/d=01/h=08/m=00/PT1H.json`
  const blobs = new MemoryBlobs()
  const envelope = JSON.stringify({
    time: '2026-01-01T08:00:00Z',
    category: 'PostgreSQLLogs',
    resourceId: '/X/NAMED',
    properties: { message: 'stated', replicaRole: 'Primary' },
  })
  blobs.append(folder('PG-1'), linesAsBytes([jsonlogLine(0, 'one'), envelope, 'no JSON']))
  blobs.append(folder('PG-1-REPLICA'), linesAsBytes([jsonlogLine(1, 'two'), '{"message":"other"}']))
  blobs.append(folder('PG-3'), linesAsBytes([jsonlogLine(2, 'three')]))
  const config = configOf({
    blobs: { azureMonitor: subscription },
    table: postgresLogs('a.b.c', { roles: { 'PG-1': 'primary', 'pg-1-replica': 'replica' } }),
  })
  const { rows } = await landInMemory(config, { pipeline: 'one', blobs })
  assert.deepEqual(
    rows
      .map(({ message, server_name, source_role }) => [message, server_name, source_role])
      .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      [null, null, null],
      ['one', 'pg-1', 'primary'],
      ['other', 'pg-1-replica', 'replica'],
      ['stated', 'named', 'primary'],
      ['three', 'pg-3', null],
      ['two', 'pg-1-replica', 'replica'],
    ],
  )
})

test('a failure of the config ends the run in memory with its code', async () => {
  const blobs = new MemoryBlobs()
  blobs.append('a', linesAsBytes([jsonlogLine(0)]))
  await assert.rejects(landInMemory(configOf({ blobs: 'a' }), { pipeline: 'two', blobs }), (error) =>
    isTailraceError(error, 'USAGE'),
  )
})
