import assert from 'node:assert/strict'
import test from 'node:test'
import type { BlobsConfig } from '../../../src/sources/discovery/blob-selection.ts'
import { blobTest } from '../../../src/sources/discovery/blob-selection.ts'

const id = '/subscriptions/1/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg'

test('a blob is a source’s when its container and its name are', () => {
  const cases: [blobs: BlobsConfig, own: string[], others: string[]][] = [
    ['pg/a.json', ['logs/pg/a.json'], ['logs/pg/a.json2', 'other/pg/a.json', 'pg/a.json']],
    ['pg/', ['logs/pg/a', 'logs/pg/b/c'], ['logs/pgx/a', 'logs2/pg/a']],
    ['pg/**/*.json', ['logs/pg/a.json', 'logs/pg/b/c.json'], ['logs/pg/a.txt', 'logs/x/pg/a.json']],
    [
      { azureMonitor: id },
      [`logs/resourceId=${id.toUpperCase()}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`],
      [`logs/resourceId=${id.toUpperCase()}2/y=2026/m=11/d=24/h=00/m=00/PT1H.json`],
    ],
    [
      { azureMonitor: ['/subscriptions/1/resourceGroups/RG', '/subscriptions/2'] },
      [
        `logs/resourceId=${id.toUpperCase()}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`,
        `logs/ResourceId=${id.replace('/1/', '/2/')}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`,
      ],
      [
        `logs/resourceId=${id.replace('/rg/', '/rg2/')}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`,
        `logs/resourceId=${id.replace('/1/', '/3/')}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`,
        'logs/other.json',
      ],
    ],
    [
      { azureMonitor: '*' },
      [`logs/resourceId=${id}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`],
      [`logs/resourceId=${id.replace('DBforPostgreSQL', 'Web')}/y=2026/m=11/d=24/h=00/m=00/PT1H.json`],
    ],
  ]
  for (const [blobs, own, others] of cases) {
    const isOwn = blobTest({ container: 'logs', blobs })
    for (const blob of own) assert.equal(isOwn(blob), true, blob)
    for (const blob of others) assert.equal(isOwn(blob), false, blob)
  }
})
