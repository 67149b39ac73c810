import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import {
  locationBelow,
  locationText,
  parseTableLocation,
} from '../../../../src/sinks/delta/storage/location.ts'

const lake = {
  kind: 'azure',
  accountUrl: 'https://acct.blob.core.windows.net',
  container: 'lake',
  folder: 'tables/pg',
}

test('every way to write an Azure location names the same account, container and folder', () => {
  for (const text of [
    'abfss://lake@acct.dfs.core.windows.net/tables/pg',
    'abfs://lake@acct.dfs.core.windows.net/tables/pg/',
    'wasbs://lake@acct.blob.core.windows.net/tables//pg',
    'wasb://lake@acct.blob.core.windows.net/tables/pg',
    'https://acct.blob.core.windows.net/lake/tables/pg',
    'https://acct.dfs.core.windows.net/lake/tables/pg/',
    'HTTPS://ACCT.blob.core.windows.net/lake/tables/x/../pg',
    'ABFSS://lake@ACCT.DFS.core.windows.net/tables/pg',
  ]) {
    const location = parseTableLocation(text, '/srv')
    assert.deepEqual(location, lake, text)
    assert.equal(locationText(location), 'https://acct.blob.core.windows.net/lake/tables/pg')
  }
})

test('other clouds, zones and private links keep their host, and an emulator has its account in the path', () => {
  const accounts = {
    'abfss://lake@acct.dfs.core.chinacloudapi.cn/': 'https://acct.blob.core.chinacloudapi.cn',
    'https://acct.z12.dfs.storage.azure.net/lake': 'https://acct.z12.blob.storage.azure.net',
    'https://acct.privatelink.blob.core.windows.net/lake': 'https://acct.privatelink.blob.core.windows.net',
    'http://127.0.0.1:10000/devstoreaccount1/lake': 'http://127.0.0.1:10000/devstoreaccount1',
    'http://localhost:10000/devstoreaccount1/lake/': 'http://localhost:10000/devstoreaccount1',
    'http://[::1]:10000/devstoreaccount1/lake': 'http://[::1]:10000/devstoreaccount1',
  }
  for (const [text, accountUrl] of Object.entries(accounts)) {
    const location = parseTableLocation(text, '/srv')
    assert.deepEqual(location, { kind: 'azure', accountUrl, container: 'lake', folder: '' }, text)
    assert.equal(locationText(location), `${accountUrl}/lake`)
  }
})

test('a path is a directory, relative to where the config is', () => {
  assert.deepEqual(parseTableLocation('./lake', '/srv'), { kind: 'directory', path: '/srv/lake' })
  assert.deepEqual(parseTableLocation('/lake/', '/srv'), { kind: 'directory', path: '/lake' })
  assert.equal(locationText(parseTableLocation('a/../b', '/srv')), '/srv/b')
})

test('escapes are read once and written again', () => {
  const location = parseTableLocation('abfss://lake@acct.dfs.core.windows.net/a%20b/%C3%A9', '/srv')
  assert.deepEqual(location, { ...lake, folder: 'a b/é' })
  assert.equal(locationText(location), 'https://acct.blob.core.windows.net/lake/a%20b/%C3%A9')
  assert.deepEqual(parseTableLocation(locationText(location), '/srv'), location)
})

test('a table lies below its root, in a directory and in a container alike', () => {
  const below = (text: string) => locationBelow(parseTableLocation(text, '/srv'), 'logs', 'public', 'pg')
  assert.deepEqual(below('lake'), { kind: 'directory', path: '/srv/lake/logs/public/pg' })
  const root = 'https://acct.blob.core.windows.net/lake'
  assert.deepEqual(below(root), { ...lake, folder: 'logs/public/pg' })
  assert.deepEqual(below(`${root}/x`), { ...lake, folder: 'x/logs/public/pg' })
})

test('an invalid location is refused with the expected form and without a secret', () => {
  const mistakes: [text: string, message: RegExp][] = [
    ['https://acct.blob.core.windows.net/lake/x?sv=1&sig=SECRET', /a URL with a query, .*`storage`/],
    ['abfss://lake@acct.dfs.core.windows.net/x?sig=SECRET', /a URL with a query/],
    ['https://acct.blob.core.windows.net/lake/x#SECRET', /a URL with a query/],
    ['https://user:SECRET@acct.blob.core.windows.net/lake', /a password/],
    ['https://SECRET@acct.blob.core.windows.net/lake', /a user/],
    ['abfss://lake:SECRET@acct.dfs.core.windows.net/x', /a password/],
    ['http://acct.blob.core.windows.net/lake', /http:, expected https:/],
    ['https://example.com/lake', /the host example\.com/],
    ['https://acct.blob.core.windows.net/', /no container/],
    ['https://acct.blob.core.windows.net/Lake/x', /the container Lake/],
    ['https://acct.blob.core.windows.net/a--b/x', /the container a--b/],
    ['abfss://acct.dfs.core.windows.net/x', /expected abfss:\/\/container@account/],
    ['abfss://lake@acct/x', /expected abfss:\/\/container@account/],
    ['http://127.0.0.1:10000/', /an emulator without account/],
    ['http://127.0.0.1:10000/devstoreaccount1', /no container/],
    ['abfss://lake@acct.dfs.core.windows.net/a%2f..%2fb', /a path with dots/],
    ['https://acct.blob.core.windows.net/lake/100%', /an invalid % escape/],
    ['s3://bucket/x', /a location with s3:, expected a directory/],
    ['dbfs:/mnt/lake', /a location with dbfs:/],
    ['file:///srv/lake', /a location with file:/],
    ['https://', /cannot be read/],
  ]
  for (const [text, message] of mistakes) {
    assert.throws(
      () => parseTableLocation(text, '/srv'),
      (error) =>
        isTailraceError(error, 'CONFIG_INVALID') &&
        message.test(error.message) &&
        !error.message.includes('SECRET'),
      text,
    )
  }
})
