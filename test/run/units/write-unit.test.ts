import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { choosePipeline } from '../../../src/config/choose-pipelines.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import { silentLogger } from '../../../src/reporting/logger.ts'
import { ContainerStorage } from '../../../src/run/container-storage.ts'
import { planUnits } from '../../../src/run/units/plan-units.ts'
import type { Manifest } from '../../../src/run/units/unit-files.ts'
import { writeUnit } from '../../../src/run/units/write-unit.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { ManualClock } from '../../sources/manual-clock.ts'
import { eventually } from '../../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../../support/log-lines.ts'
import { startStorage } from '../../support/storage.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const quarterMs = 15 * 60_000

test('a write that takes longer than an hour keeps its files when another write begins', async (t) => {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  await storage.append('p/a.json', linesAsBytes([jsonlogLine(0), jsonlogLine(1)]))
  const { connectionString } = storage
  const config = resolveConfig(
    {
      pipelines: {
        primary: {
          source: {
            storage: { kind: 'connection-string', connectionString },
            container: 'logs',
            blobs: 'p/',
          },
          table: postgresLogs('test.logs.pg'),
          sink: { kind: 'delta', root: 'lakehouse' },
        },
      },
    },
    directory,
  )
  const clock = new ManualClock(Date.now())
  const process = { clock, logger: silentLogger }
  const containers = new ContainerStorage(config.stateDirectory, false, clock, silentLogger)
  t.after(() => containers.stop())
  const pipeline = choosePipeline(config, 'primary')
  const reader = await containers.reader(pipeline.source)
  const [unit] = (await planUnits({ config, ...process }, { targetBytes: 1_000_000 })).units
  const write = (from: BlobReader): Promise<Manifest> =>
    writeUnit({ config, unit: unit!, pipeline, reader: from, ...process })

  let release: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const long = write({
    container: reader.container,
    listPage: (request) => reader.listPage(request),
    read: async (name, request) => {
      await held
      return reader.read(name, request)
    },
  })
  const units = join(config.stateDirectory, 'units')
  await eventually(async () => (await readdir(units).catch(() => [])).length === 1, 'the long write begins')
  const [name] = await readdir(units)
  for (let passedMs = 0; passedMs <= 4 * quarterMs; passedMs += quarterMs) {
    clock.advance(quarterMs)
    await eventually(
      async () => (await stat(join(units, name!))).mtimeMs > clock.now() - quarterMs,
      'the directory is kept',
    )
  }
  assert.equal((await write(reader)).rows, 2)
  release()
  assert.equal((await long).rows, 2)
  assert.deepEqual(await readdir(units), [])
  assert.equal(clock.waiting, 0)
})
