import type { JSX } from 'preact'
import { shortCount } from '../state/format.ts'
import type { RatePoint } from '../state/live.ts'

const width = 240
const height = 44
/** While less is known, the line fills the width all the same. */
const shownMs = { min: 15_000, max: 120_000 }

/** The rate of the last two minutes, without axes. */
export function RateLine({ points }: { readonly points: readonly RatePoint[] }): JSX.Element {
  const endMs = points.at(-1)?.atMs ?? 0
  const shown = points.filter(({ atMs }) => atMs > endMs - shownMs.max)
  const lengthMs = Math.max(shownMs.min, endMs - (shown[0]?.atMs ?? endMs))
  const highest = shown.reduce((max, { rowsPerSecond }) => Math.max(max, rowsPerSecond), 1)
  const at = ({ atMs, rowsPerSecond }: RatePoint): string =>
    `${(width - ((endMs - atMs) / lengthMs) * width).toFixed(1)},${(height - 2 - (rowsPerSecond / highest) * (height - 6)).toFixed(1)}`
  const line = shown.map(at).join('L')
  const left = shown[0] === undefined ? width : width - ((endMs - shown[0].atMs) / lengthMs) * width
  return (
    <svg
      class="rate-line"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Rows per second in the last two minutes, at most ${shortCount(Math.round(highest))}`}
    >
      <path class="rate-base" d={`M0,${height - 1.5}H${width}`} />
      {shown.length > 1 && (
        <>
          <path class="rate-area" d={`M${left.toFixed(1)},${height - 1}L${line}L${width},${height - 1}Z`} />
          <path class="rate-stroke" d={`M${line}`} />
        </>
      )}
    </svg>
  )
}
