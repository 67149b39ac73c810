import assert from 'node:assert/strict'
import test from 'node:test'
import type { TailraceConfig } from '../../../../src/config/options.ts'
import { resolveConfig } from '../../../../src/config/resolve.ts'
import { type ResolvedPipeline, sinkTarget } from '../../../../src/config/resolved.ts'
import type { DatabricksSinkConfig, DatabricksTarget } from '../../../../src/sinks/databricks/options.ts'
import { landingCost } from '../../../../src/sinks/databricks/setup/cost.ts'
import { usualSettings, warehousePrice } from '../../../../src/sinks/databricks/setup/warehouse-price.ts'
import type { WarehouseSettings } from '../../../../src/sinks/databricks/workspace/workspace-api.ts'
import type { LandingLoad } from '../../../../src/sinks/sink-setup.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'

const GB = 1e9

function load(
  name: string,
  bytesPerDay: number,
  sink: Partial<DatabricksSinkConfig> = {},
  batch: object = {},
): LandingLoad<DatabricksTarget> {
  const config = resolveConfig(
    {
      pipelines: {
        [name]: {
          source: { storage: { kind: 'embedded' }, container: 'logs', blobs: name },
          table: postgresLogs(`lake.logs.${name}`),
          sink: {
            kind: 'databricks',
            host: 'adb-1.azuredatabricks.net',
            httpPath: '/sql/1.0/warehouses/a',
            auth: { kind: 'entra' },
            volume: '/Volumes/lake/logs/files',
            ...sink,
          },
          batch,
        },
      },
    } as TailraceConfig,
    '/',
  )
  const pipeline = config.pipelines[name] as ResolvedPipeline
  return { target: sinkTarget(name, pipeline) as DatabricksTarget, batch: pipeline.batch, bytesPerDay }
}

const { prices } = load('a', 0).target.sink
const usual = warehousePrice(usualSettings, prices)

const estimate = (...loads: readonly LandingLoad<DatabricksTarget>[]) => {
  const { statements, landings, awakeHours, dollars } = landingCost('w', loads, usual)
  return [landings, statements, awakeHours.toFixed(1), dollars.toFixed(2)]
}

test('an estimate has the figures of docs/databricks.md, by cadence and mode', () => {
  const minute = { maxAgeMs: 60_000, maxBytes: 64 * 1024 ** 2 }
  const hour = { landEvery: '1h', maxBytes: 1024 ** 3 }
  assert.deepEqual(estimate(load('a', GB)), [96, 96, '16.8', '47.04'])
  assert.deepEqual(estimate(load('a', GB, { upload: 'put' })), [96, 312, '16.8', '47.04'])
  assert.deepEqual(estimate(load('a', GB, {}, minute)), [1440, 1440, '24.0', '67.20'])
  assert.deepEqual(estimate(load('a', 20 * GB, {}, hour)), [24, 24, '4.2', '11.76'])
  assert.deepEqual(estimate(load('a', 200 * GB)), [745, 745, '24.0', '67.20'])
  assert.deepEqual(estimate(load('a', GB, { mode: 'copy-into' })), [96, 288, '16.8', '47.04'])
  assert.deepEqual(estimate(load('a', GB, { mode: 'stage-only' })), [0, 0, '0.0', '0.00'])
  const removing = { mode: 'stage-only', stagedRetentionMs: 3_600_000 } as const
  assert.deepEqual(estimate(load('a', GB, removing)), [24, 24, '4.2', '11.76'])
  assert.deepEqual(estimate(load('a', 0)), [0, 0, '0.0', '0.00'])
})

test('pipelines that land at the same instants wake the warehouse once, and those with timers of their own more often', () => {
  const hour = { landEvery: '1h' }
  const alone = estimate(load('a', GB, {}, hour))
  assert.deepEqual(estimate(load('a', GB, {}, hour), load('b', GB, {}, hour)), [24, 48, ...alone.slice(2)])
  const own = { maxAgeMs: 3_600_000 }
  assert.deepEqual(estimate(load('a', GB, {}, own), load('b', GB, {}, own)), [48, 48, '7.7', '21.46'])
})

test('an estimate follows the size, the kind, the clusters and the auto-stop of the warehouse, and the prices of the config', () => {
  const daily = (settings: Partial<WarehouseSettings>, given = prices): readonly [string, string] => {
    const price = warehousePrice({ ...usualSettings, ...settings }, given)
    const { awakeHours, dollars } = landingCost('w', [load('a', GB)], price)
    return [awakeHours.toFixed(1), dollars.toFixed(2)]
  }
  assert.deepEqual(daily({}), ['16.8', '47.04'])
  assert.deepEqual(daily({ size: 'Small' }), ['16.8', '141.12'])
  assert.deepEqual(daily({ minClusters: 2 }), ['16.8', '94.08'])
  assert.deepEqual(daily({ autoStopMinutes: 5 }), ['8.8', '24.64'])
  assert.deepEqual(daily({ autoStopMinutes: 0 }), ['24.0', '67.20'], 'a warehouse that never stops')
  assert.deepEqual(daily({ autoStopMinutes: 120 }), ['24.0', '67.20'])
  assert.deepEqual(daily({ kind: 'pro' }), ['22.9', '50.45'], 'a longer start at a lower price')
  assert.deepEqual(daily({ kind: 'classic' }), ['22.9', '20.18'])
  assert.deepEqual(daily({}, { ...prices, perServerlessDbu: 0.35 }), ['16.8', '23.52'])
  const { assumptions } = warehousePrice({ ...usualSettings, size: 'Huge' }, prices)
  assert.match(assumptions, /528 DBU an hour, at least,/, 'a size of unknown rate')
})
