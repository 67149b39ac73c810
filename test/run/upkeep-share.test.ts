import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { withResources } from '../../src/run/resources.ts'
import type { UpkeepShare } from '../../src/sinks/sink.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { inMemorySink } from '../sinks/in-memory-sink.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('the upkeep of each table falls to one of the shards, and of several tables to different ones', async (t) => {
  const directory = await temporaryDirectory(t)
  const inMemory = await inMemorySink()
  t.after(() => inMemory.close())
  const names = Array.from({ length: 8 }, (_, index) => `test.logs.table_${index}`)
  const owners: number[] = []
  for (const name of names) {
    const shares: (UpkeepShare | undefined)[] = []
    for (const index of [0, 1, 2, 3]) {
      const stateDirectory = join(directory, name, String(index))
      const { pipelines, ...shared } = resolveConfig(
        {
          pipelines: {
            primary: {
              source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'pg' },
              table: postgresLogs(name),
              sink: { kind: 'delta', root: join(directory, 'lakehouse') },
            },
          },
          shard: `${index}/4`,
          stateDirectory,
        },
        directory,
      )
      const sinkKind = {
        ...inMemory,
        open: (context: Parameters<typeof inMemory.open>[0]) => {
          shares.push(context.upkeepShare)
          return inMemory.open(context)
        },
      }
      const config = { ...pipelines.primary!, sinkKind }
      const options = { name: 'primary', config, shared, clock: systemClock, logger: silentLogger }
      await withResources(options as Parameters<typeof withResources>[0], async () => {})
    }
    assert.deepEqual(
      shares.map((share) => share?.shards),
      [4, 4, 4, 4],
    )
    const own = shares.flatMap((share, index) => (share?.isOwn === true ? [index] : []))
    assert.equal(own.length, 1)
    owners.push(own[0]!)
  }
  assert.ok(new Set(owners).size > 1, owners.join())
})
