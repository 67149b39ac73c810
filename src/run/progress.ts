import { byteAmount, timeAmount } from '../reporting/byte-amount.ts'
import type { Pace } from './pace.ts'

/** The progress of one pipeline: of a backfill how much is left, while following only the lag. */
export function describeProgress(name: string, { bytes, lagBytes }: Totals, pace: Pace): string {
  const speed = `${(pace.bytesPerSecond / 1e6).toFixed(1)} MB/s`
  if (pace.phase === 'following') return `${name}: following, lag ${byteAmount(lagBytes)}, ${speed}`
  const percent = pace.percent === undefined ? '' : ` (${pace.percent}%)`
  const left = pace.leftSeconds === undefined ? '' : `, ${timeAmount(pace.leftSeconds)} left`
  return `${name}: ${byteAmount(bytes)} of ${byteAmount(bytes + lagBytes)}${percent}, ${speed}${left}`
}

interface Totals {
  /** Bytes landed. */
  readonly bytes: number
  readonly lagBytes: number
}
