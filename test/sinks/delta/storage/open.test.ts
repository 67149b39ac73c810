import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import test from 'node:test'
import { systemClock } from '../../../../src/clock.ts'
import type { PipelineConfig, TailraceConfig } from '../../../../src/config/options.ts'
import { resolveConfig } from '../../../../src/config/resolve.ts'
import { isTailraceError } from '../../../../src/errors.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { openTableStorage, type TableStorageOptions } from '../../../../src/sinks/delta/storage/open.ts'
import type { StorageConfig } from '../../../../src/sources/options.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import { deltaTarget } from '../../../support/delta-target.ts'
import { containerName, startStorage } from '../../../support/storage.ts'

const retry = { policy: { maxAttempts: 1 } }

function storageOf(
  sink: PipelineConfig['sink'],
  storage: StorageConfig = { kind: 'embedded' },
  patience: TableStorageOptions['retry'] = retry,
) {
  const source = { storage, container: containerName, blobs: 'pg.json' }
  const config: TailraceConfig = {
    pipelines: { primary: { source, table: postgresLogs('logs.public.pg'), sink } },
  }
  const primary = deltaTarget(resolveConfig(config, '/srv'), 'primary')
  return openTableStorage(primary, { downloadDirectory: tmpdir(), clock: systemClock, retry: patience })
}

test('a directory is opened as one', () => {
  const storage = storageOf({ kind: 'delta', root: './lake' })
  assert.ok(storage instanceof LocalDeltaStorage)
  assert.equal(storage.location, '/srv/lake/logs/public/pg')
})

test('a table in the account of the source is reached as the source is', async (t) => {
  const { connectionString, container } = await startStorage(t)
  const root = `${container.url}/lake`
  const storage = storageOf({ kind: 'delta', root }, { kind: 'connection-string', connectionString })
  assert.equal(storage.location, `${root}/logs/public/pg`)
  await storage.prepare()
  assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('x')), 'created')
  assert.ok(await container.getBlobClient('lake/logs/public/pg/_delta_log/0.json').exists())
})

test('a table of its own account is reached by the storage of the sink', async (t) => {
  const { connectionString, container } = await startStorage(t)
  const storage: StorageConfig = { kind: 'connection-string', connectionString }
  const opened = storageOf({ kind: 'delta', root: container.url, storage })
  await opened.prepare()
})

test('a credential of another account or container is refused before any request', () => {
  const root = 'abfss://lake@acct.dfs.core.windows.net/'
  const key = 'AccountName=other;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net'
  const others = [
    { kind: 'connection-string', connectionString: key },
    { kind: 'account', account: 'other' },
    { kind: 'shared-key', account: 'https://acct.blob.core.chinacloudapi.cn', key: 'c2VjcmV0' },
    { kind: 'sas', url: 'https://acct.blob.core.windows.net/logs?sr=c&sig=c2VjcmV0' },
  ] as const
  for (const storage of others) {
    assert.throws(
      () => storageOf({ kind: 'delta', root, storage }),
      (error) => isTailraceError(error, 'CONFIG_INVALID') && !error.message.includes('c2VjcmV0'),
      storage.kind,
    )
    // As the source's, it is another matter: the table is reached with the identity.
    storageOf({ kind: 'delta', root }, storage)
  }
  storageOf({ kind: 'delta', root, storage: { kind: 'account', account: 'acct' } })
  storageOf({
    kind: 'delta',
    root,
    storage: { kind: 'sas', url: 'https://acct.blob.core.windows.net/lake?sr=c&sig=c2VjcmV0' },
  })
})

test('a stop while storage is down ends an opening at once, and not with the outage', {
  timeout: 10_000,
}, async () => {
  const stopping = new AbortController()
  const onRetry = (): void => stopping.abort()
  const connectionString =
    'DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/account'
  // Nothing listens there, and the next attempt would be in a quarter of an hour.
  const storage = storageOf(
    { kind: 'delta', root: 'http://127.0.0.1:1/account/lake' },
    { kind: 'connection-string', connectionString },
    { signal: stopping.signal, onRetry, policy: { baseMs: 10 ** 6, capMs: 10 ** 6 }, random: () => 1 },
  )
  await assert.rejects(storage.prepare(), { name: 'AbortError' })
})
