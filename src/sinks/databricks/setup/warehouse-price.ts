import type { DatabricksOptions } from '../options.ts'
import type { WarehouseSettings } from '../workspace/workspace-api.ts'

const minuteMs = 60_000

/** The rate of the largest size that has one here, for sizes that have none. */
const maxKnownDbu = 528

/**
 * DBU an hour of one cluster, by the warehouse's size: https://docs.databricks.com/resources/pricing.html (read 2026-11-24
 * for the first two; the larger sizes were not found again and are unverified).
 */
const dbuBySize: Readonly<Record<string, number>> = {
  '2X-Small': 4,
  'X-Small': 6,
  Small: 12,
  Medium: 24,
  Large: 40,
  'X-Large': 80,
  '2X-Large': 144,
  '3X-Large': 272,
  '4X-Large': maxKnownDbu,
}

/** What a warehouse costs while it is awake, and for how long a landing keeps it so. */
export interface WarehousePrice {
  readonly dollarsPerHour: number
  /** Idle time until it stops; undefined for a warehouse that never stops. */
  readonly autoStopMs: number | undefined
  /** Its start, and the statements of one landing. */
  readonly workMs: number
  /** The settings and figures that were taken for granted. */
  readonly assumptions: string
}

/** The warehouse that an estimate assumes where the settings of the real one are unknown. */
export const usualSettings: WarehouseSettings = {
  size: '2X-Small',
  kind: 'serverless',
  autoStopMinutes: 10,
  minClusters: 1,
}

/** Third parties report 2 to 6 s for a serverless warehouse, and 2 to 8 minutes for machines in one's own account. */
const startMs = { serverless: 10_000, pro: 4 * minuteMs, classic: 4 * minuteMs } as const

/** A guess: no statement was measured in a real workspace. */
const statementsMs = 20_000

/**
 * @param unread why the settings could not be read; undefined where they are those of the real warehouse
 */
export function warehousePrice(
  { size, kind, autoStopMinutes, minClusters }: WarehouseSettings,
  prices: DatabricksOptions['prices'],
  unread?: string | undefined,
): WarehousePrice {
  const dollarsPerDbu = {
    serverless: prices.perServerlessDbu,
    pro: prices.perProDbu,
    classic: prices.perClassicDbu,
  }[kind]
  const isKnown = Object.hasOwn(dbuBySize, size)
  const dbu = (dbuBySize[size] ?? maxKnownDbu) * minClusters
  const workMs = startMs[kind] + statementsMs
  const rate = `${dbu} DBU an hour${isKnown ? '' : ', at least,'} at $${dollarsPerDbu.toFixed(2)}${kind === 'serverless' ? '' : ', machines not included'}`
  const clusters = minClusters === 1 ? '' : ` with ${minClusters} clusters`
  const stop =
    autoStopMinutes === 0 ? 'which never stops by itself' : `auto-stop after ${autoStopMinutes} min`
  const origin = unread === undefined ? 'read from the workspace' : `assumed, because ${unread}`
  return {
    dollarsPerHour: dbu * dollarsPerDbu,
    autoStopMs: autoStopMinutes === 0 ? undefined : autoStopMinutes * minuteMs,
    workMs,
    assumptions: `a ${size} ${kind} warehouse${clusters}, ${stop} (${origin}); ${rate}; ${workMs / 1_000} s for its start and the statements of a landing`,
  }
}
