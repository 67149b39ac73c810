import assert from 'node:assert/strict'
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findPostgres, type PostgresPair, startPostgresPair } from '../../sample/postgres-pair.ts'
import { skipUnless } from '../support/skip-unless.ts'

const skip = skipUnless(findPostgres() ? false : 'PostgreSQL 15 or newer with pgbench is not installed')

async function startPair(t: TestContext): Promise<PostgresPair> {
  const directory = await mkdtemp(join(tmpdir(), 'pair-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const pair = await startPostgresPair({ directory })
  t.after(() => pair.stop())
  return pair
}

const connects = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false)).once('connect', () => socket.end())
  })

test('a row that is written to the primary is read from the replica, and each server logs its own part', {
  skip,
}, async (t) => {
  const { primary, replica, catchUp, stop } = await startPair(t)
  await primary.psql("create table notes as select 'größer 📚' as note", { over: 'socket' })
  await primary.pgbench(['--initialize', '--quiet'])
  await primary.pgbench(['--transactions=5'], { applicationName: 'ledger' })
  await catchUp()
  assert.equal(await replica.psql('select note from notes'), 'größer 📚\n')
  await assert.rejects(replica.psql('delete from notes'), /read-only transaction/)
  await stop()

  const read = async (path: string) =>
    (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  const [ofPrimary, ofReplica] = await Promise.all([read(primary.jsonlogPath), read(replica.jsonlogPath)])
  assert.ok(
    ofPrimary.some(
      ({ message, remote_host }) => /create table notes/.test(message) && remote_host === '[local]',
    ),
  )
  assert.ok(ofPrimary.some(({ application_name }) => application_name === 'ledger'))
  assert.ok(ofReplica.some(({ state_code }) => state_code === '25006'))
  for (const log of [ofPrimary, ofReplica]) assert.equal(log.at(-1).message, 'database system is shut down')
})

test('a stopped pair accepts no connection and leaves only its logs', { skip }, async (t) => {
  const { primary, replica, stop } = await startPair(t)
  assert.ok(await connects(primary.port))
  await stop()
  for (const server of [primary, replica]) {
    assert.equal(await connects(server.port), false)
    await access(server.jsonlogPath)
    await assert.rejects(access(join(server.logDirectory, '../data')), { code: 'ENOENT' })
  }
})

test("a pair with a setting that the server refuses rejects with the server's own words", {
  skip,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'pair-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  await assert.rejects(
    startPostgresPair({ directory, settings: { max_connections: 'many' } }),
    /max_connections/,
  )
})
