import type { LandingCost, LandingLoad } from '../../sink-setup.ts'
import { type DatabricksTarget, stagesFiles } from '../options.ts'
import type { WarehousePrice } from './warehouse-price.ts'

const dayMs = 86_400_000

/** Rows as JSON take so many bytes per byte of log, measured with the sample. */
const jsonBytesPerByte = 3.1

/** Source bytes of the rows in one MERGE of 1 MiB. */
const mergeSourceBytes = (1024 * 1024) / jsonBytesPerByte

/** DBU for a GB that is sent to Zerobus Ingest. docs/databricks.md#what-it-costs has the sources of the figures. */
const zerobusDbuPerGb = 0.143

/**
 * Estimates statements, awake hours and dollars of a day for pipelines of one warehouse.
 *
 * Pipelines with the same `batch.landEvery` meet, so that one start serves them all; any others wake the warehouse
 * independently of each other. The bytes are taken to arrive evenly over the day.
 */
export function landingCost(
  system: string,
  loads: readonly LandingLoad<DatabricksTarget>[],
  { dollarsPerHour, autoStopMs, workMs, assumptions }: WarehousePrice,
): LandingCost {
  /** Landings a day of those pipelines that meet, by their tick. */
  const groups = new Map<string, number>()
  let statements = 0
  let zerobusDollars = 0
  const ofZerobus = new Set<string>()
  for (const load of loads) {
    const { name, sink } = load.target
    const batches = batchesOf(load)
    if (batches === 0) continue
    if (sink.mode === 'zerobus') {
      const gigabytes = (load.bytesPerDay * jsonBytesPerByte) / 1e9
      const { perJobsDbu } = sink.prices
      zerobusDollars += gigabytes * zerobusDbuPerGb * perJobsDbu
      ofZerobus.add(`Zerobus takes ${zerobusDbuPerGb} DBU for a GB of JSON, at $${perJobsDbu.toFixed(2)}`)
      continue
    }
    const ofLoading = statementsOf(load, batches)
    // With PUT, an upload, its removal a day later, and a listing for each hour.
    const ofPut = sink.upload === 'put' && stagesFiles(sink) ? 2 * batches + 24 : 0
    const ofStaging = ofPut + ofRetention(load)
    statements += ofLoading + ofStaging
    if (ofLoading + ofStaging === 0) continue
    const { landEveryMs } = load.batch
    const tick = landEveryMs === undefined ? name : `every ${landEveryMs}`
    // Without uploads and loads only the removal wakes the warehouse.
    const wakes = ofLoading + ofPut === 0 ? ofStaging : batches
    groups.set(tick, Math.max(groups.get(tick) ?? 0, wakes))
  }
  let asleep = 1
  let landings = 0
  for (const batches of groups.values()) {
    asleep *= 1 - Math.min(1, (batches * (workMs + (autoStopMs ?? dayMs))) / dayMs)
    landings += batches
  }
  const awakeHours = (1 - asleep) * 24
  return {
    system,
    bytesPerDay: loads.reduce((sum, { bytesPerDay }) => sum + bytesPerDay, 0),
    landings: Math.round(landings),
    statements: Math.round(statements),
    awakeHours,
    dollars: awakeHours * dollarsPerHour + zerobusDollars,
    assumptions: (groups.size > 0 || zerobusDollars === 0
      ? [assumptions, ...ofZerobus]
      : [...ofZerobus]
    ).join('; '),
  }
}

/** @returns the batches of a day; 0 when nothing arrives */
function batchesOf({ batch, bytesPerDay }: LandingLoad<DatabricksTarget>): number {
  if (bytesPerDay === 0) return 0
  return Math.max(dayMs / (batch.landEveryMs ?? batch.maxAgeMs), bytesPerDay / batch.maxBytes)
}

function statementsOf({ target, bytesPerDay }: LandingLoad<DatabricksTarget>, batches: number): number {
  const { mode } = target.sink
  if (mode === 'stage-only') return 0
  if (mode === 'merge') return Math.max(batches, bytesPerDay / mergeSourceBytes)
  // COPY INTO, and a count of the rows before and after it.
  return mode === 'copy-into' ? 3 * batches : batches
}

/** With stage-only, files are removed once the table has their rows, which a statement in each hour reads. */
function ofRetention({ target: { sink } }: LandingLoad<DatabricksTarget>): number {
  return sink.mode === 'stage-only' && sink.stagedRetentionMs !== undefined ? 24 : 0
}
