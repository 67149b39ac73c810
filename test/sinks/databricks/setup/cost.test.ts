import assert from 'node:assert/strict'
import test from 'node:test'
import type { TailraceConfig } from '../../../../src/config/options.ts'
import { resolveConfig } from '../../../../src/config/resolve.ts'
import { type ResolvedPipeline, sinkTarget } from '../../../../src/config/resolved.ts'
import type { DatabricksSinkConfig, DatabricksTarget } from '../../../../src/sinks/databricks/options.ts'
import { landingCost } from '../../../../src/sinks/databricks/setup/cost.ts'
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

const estimate = (...loads: readonly LandingLoad<DatabricksTarget>[]) => {
  const { statements, landings, awakeHours, dollars } = landingCost('w', loads)
  return [landings, statements, awakeHours.toFixed(1), dollars.toFixed(2)]
}

test('an estimate has the figures of docs/databricks.md, by cadence and mode', () => {
  const minute = { maxAgeMs: 60_000, maxBytes: 64 * 1024 ** 2 }
  const hour = { landEveryMs: 3_600_000, maxBytes: 1024 ** 3 }
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
  const hour = { landEveryMs: 3_600_000 }
  const alone = estimate(load('a', GB, {}, hour))
  assert.deepEqual(estimate(load('a', GB, {}, hour), load('b', GB, {}, hour)), [24, 48, ...alone.slice(2)])
  const own = { maxAgeMs: 3_600_000 }
  assert.deepEqual(estimate(load('a', GB, {}, own), load('b', GB, {}, own)), [48, 48, '7.7', '21.46'])
})
