import { createRequire } from 'node:module'
import { cpus, loadavg, platform, release, totalmem } from 'node:os'

/** Where numbers were measured, without anything that names the machine. */
export interface MachineFacts {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly system: string
  readonly node: string
  readonly duckdb: string
  /** Mean number of processes that wanted a core in the minute before: a quiet machine has less than one. */
  readonly loadBefore: number
  readonly measuredAt: string
}

export function machineFacts(): MachineFacts {
  const all = cpus()
  const require = createRequire(import.meta.url)
  const { dependencies } = require('../../package.json') as { dependencies: Record<string, string> }
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.versions.node,
    duckdb: dependencies['@duckdb/node-api'] ?? 'unknown',
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    measuredAt: new Date().toISOString(),
  }
}
