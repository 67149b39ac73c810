import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { ResolvedPipeline } from '../../../src/config/resolved.ts'
import { silentLogger } from '../../../src/reporting/logger.ts'
import { FollowPlan } from '../../../src/run/lanes/follow-plan.ts'
import { AzureMonitorDiscovery } from '../../../src/sources/discovery/azure-monitor-discovery.ts'
import { dayMs, hourMs, hourPath } from '../../../src/sources/discovery/azure-monitor-layout.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { ListedContainer } from '../../sources/discovery/listed-container.ts'

const resourceGroup = '/subscriptions/0a0a/resourceGroups/rg'
const intervalMs = 10_000

/** @returns for each scan of three hours, whether the newest hours are polled */
async function choicesOf(serverCount: number): Promise<boolean[]> {
  const { pipelines } = resolveConfig(
    {
      pipelines: {
        p: {
          source: {
            storage: { kind: 'embedded' },
            container: 'logs',
            blobs: { azureMonitor: resourceGroup },
            discoverMs: intervalMs,
          },
          table: postgresLogs('a.b.c'),
          sink: { kind: 'delta', root: '.' },
        },
      },
    },
    '/',
  )
  const plan = new FollowPlan((pipelines.p as ResolvedPipeline).source, silentLogger)
  const reader = new ListedContainer()
  const discovery = new AzureMonitorDiscovery([resourceGroup], {
    reader,
    startTimeMs: undefined,
    watchMs: 2 * dayMs,
    listMs: hourMs,
  })
  const grewAtMs = new Map<string, number>()
  const choices: boolean[] = []
  let polled = new Set<string>()
  const beginMs = Date.UTC(2026, 10, 24, 12, 10)
  for (let nowMs = beginMs; nowMs < beginMs + 3 * hourMs; nowMs += intervalMs) {
    const startMs = Math.floor(nowMs / hourMs) * hourMs
    const current = Array.from(
      { length: serverCount },
      (_, index) =>
        `resourceId=${resourceGroup.toUpperCase()}/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/PG-${index}/${hourPath(startMs)}PT1H.json`,
    )
    for (const name of current) {
      reader.put(name, nowMs, nowMs - startMs + 1)
      grewAtMs.set(name, nowMs)
    }
    for await (const _ of discovery.scan(nowMs, {}, { isPolled: (name) => polled.has(name) }));
    plan.choose([...grewAtMs.values()], discovery.lastScan, nowMs)
    const newest = new Set(current.slice(0, plan.maxFollowed))
    plan.follow(newest)
    const isPolling = plan.shouldFollow(current[0] as string, 0)
    polled = isPolling ? newest : new Set()
    choices.push(isPolling)
  }
  return choices
}

test('twenty servers that all grow are polled in every scan, over the ends of hours too', async () => {
  assert.deepEqual(new Set(await choicesOf(20)), new Set([true]))
})
