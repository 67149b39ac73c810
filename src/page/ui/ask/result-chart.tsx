import type { JSX } from 'preact'
import { useMemo } from 'preact/hooks'
import type { SqlResult } from '../../api.ts'
import { Empty } from '../parts/basics.tsx'
import { seriesColor } from '../parts/colors.ts'
import { type ChartSeries, TimeChart } from '../parts/time-chart.tsx'
import { change } from '../state/address.ts'
import { shortCount, shownText } from '../state/format.ts'
import { cellText, isNumeric, isTime, millisecondsOf, numberOf } from './result-values.ts'

const maxSeries = 6
const maxBars = 50
const maxBuckets = 1_000

/** A result as lines over time, or as bars of one column by another. */
export function ResultChart({
  result,
  parameters,
}: {
  readonly result: SqlResult
  readonly parameters: URLSearchParams
}): JSX.Element {
  const { columns } = result
  const numeric = columns.flatMap((column, index) => (isNumeric(column) ? [index] : []))
  const chosenX = columnIndex(result, parameters.get('x'))
  const x = chosenX ?? defaultX(result)
  const candidates = numeric.filter((index) => index !== x)
  const chosenY = parameters.getAll('y').flatMap((name) => columnIndex(result, name) ?? [])
  const y = (chosenY.length > 0 ? chosenY.filter((one) => candidates.includes(one)) : candidates).slice(
    0,
    maxSeries,
  )
  if (x === undefined || candidates.length === 0)
    return (
      <Empty title="No column of numbers to draw" icon="report">
        <p>A chart needs a column of numbers, and a column of times or names beside it.</p>
      </Empty>
    )
  const xColumn = columns[x]
  return (
    <div class="result-chart">
      <div class="result-axes">
        <label>
          Along
          <select
            class="field"
            value={xColumn?.name}
            onChange={({ currentTarget }) => change({ x: currentTarget.value }, 'replace')}
          >
            {columns.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <fieldset>
          <legend class="aside-text">Values</legend>
          {candidates.map((index, place) => {
            const name = columns[index]?.name ?? ''
            const isShown = y.includes(index)
            return (
              <label key={name}>
                <input
                  type="checkbox"
                  checked={isShown}
                  onChange={() => {
                    const next = isShown ? y.filter((one) => one !== index) : [...y, index]
                    change({ y: next.map((one) => columns[one]?.name ?? '') }, 'replace')
                  }}
                />
                <span
                  class="swatch"
                  style={{ '--series': `var(${seriesColor(place)})` }}
                  aria-hidden="true"
                />
                {shownText(name)}
              </label>
            )
          })}
        </fieldset>
      </div>
      {xColumn !== undefined && isTime(xColumn) ? (
        <OverTime result={result} x={x} y={y} colorOf={(index) => seriesColor(candidates.indexOf(index))} />
      ) : (
        <Bars result={result} x={x} y={y} colorOf={(index) => seriesColor(candidates.indexOf(index))} />
      )}
    </div>
  )
}

interface ChartColumns {
  readonly result: SqlResult
  readonly x: number
  readonly y: readonly number[]
  readonly colorOf: (column: number) => string
}

function OverTime({ result, x, y, colorOf }: ChartColumns): JSX.Element {
  const places = y.join()
  // `places` stands for the list, which is new each time.
  const drawn = useMemo(() => bucketed(result, x, y, colorOf), [result, x, places])
  if (drawn === undefined)
    return (
      <Empty title="One instant is no line" icon="report">
        <p>The column has fewer than two different times. The table shows its values.</p>
      </Empty>
    )
  return (
    <TimeChart
      label={`${drawn.series.map(({ name }) => name).join(', ')} over time. The same values are in the table.`}
      {...drawn}
      kind="lines"
      connectsGaps
      height={340}
      valueText={shortCount}
    />
  )
}

/** Times at even distances, as charts over time have them: the smallest distance between two, but not too many. */
function bucketed(
  { columns, rows }: SqlResult,
  x: number,
  y: readonly number[],
  colorOf: (column: number) => string,
):
  | {
      readonly fromMs: number
      readonly bucketMs: number
      readonly buckets: number
      readonly series: readonly ChartSeries[]
    }
  | undefined {
  const points = rows
    .flatMap((row) => {
      const atMs = millisecondsOf(row[x])
      return atMs === undefined ? [] : [{ atMs, row }]
    })
    .toSorted((a, b) => a.atMs - b.atMs)
  const [firstPoint, lastPoint] = [points[0], points.at(-1)]
  if (firstPoint === undefined || lastPoint === undefined || firstPoint.atMs === lastPoint.atMs)
    return undefined
  const lengthMs = lastPoint.atMs - firstPoint.atMs
  const smallest = points.reduce((min, { atMs }, index) => {
    const gap = atMs - (points[index - 1]?.atMs ?? atMs)
    return gap > 0 ? Math.min(min, gap) : min
  }, lengthMs)
  const bucketMs = Math.max(smallest, lengthMs / maxBuckets)
  const buckets = Math.floor(lengthMs / bucketMs) + 1
  const series = y.map((column) => {
    const values = new Array<number | null>(buckets).fill(null)
    for (const { atMs, row } of points) {
      const value = numberOf(row[column])
      if (value !== undefined) values[Math.round((atMs - firstPoint.atMs) / bucketMs)] = value
    }
    return { name: shownText(columns[column]?.name ?? ''), color: colorOf(column), values }
  })
  return { fromMs: firstPoint.atMs, bucketMs, buckets, series }
}

function Bars({ result, x, y, colorOf }: ChartColumns): JSX.Element {
  const { columns, rows } = result
  const largest = rows
    .slice(0, maxBars)
    .reduce((max, row) => y.reduce((one, column) => Math.max(one, numberOf(row[column]) ?? 0), max), 0)
  const xColumn = columns[x]
  return (
    <>
      <ul class="bars">
        {rows.slice(0, maxBars).map((row, index) => (
          <li key={index}>
            <span class="bar-name mono" dir="ltr">
              {xColumn === undefined || row[x] === null ? 'NULL' : cellText(row[x], xColumn)}
            </span>
            <div>
              {y.map((column) => {
                const value = numberOf(row[column])
                const share = largest > 0 ? Math.max(0, value ?? 0) / largest : 0
                return (
                  <div class="bar-line" key={column}>
                    <span
                      class="bar-value"
                      style={{ width: `${(share * 100).toFixed(2)}%`, '--series': `var(${colorOf(column)})` }}
                    />
                    <span class="number">{value === undefined ? 'NULL' : shortCount(value)}</span>
                  </div>
                )
              })}
            </div>
          </li>
        ))}
      </ul>
      {rows.length > maxBars && <p class="faint report-nothing">The first {maxBars} rows are drawn.</p>}
    </>
  )
}

function columnIndex({ columns }: SqlResult, name: string | null): number | undefined {
  const index = columns.findIndex((column) => column.name === name)
  return index < 0 ? undefined : index
}

function defaultX({ columns }: SqlResult): number | undefined {
  const time = columns.findIndex(isTime)
  if (time >= 0) return time
  const name = columns.findIndex((column) => !isNumeric(column))
  return name >= 0 ? name : columns.length > 1 ? 0 : undefined
}
