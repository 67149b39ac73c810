import type { ReportChart } from '../api-report.ts'
import { clockMarkText } from '../value-text.ts'
import { markupText } from './markup.ts'

export interface PlottedSeries {
  readonly name: string
  /** The class of its color. */
  readonly color: string
  readonly values: readonly (number | null)[]
  /** A series to compare with, drawn as a dashed line. */
  readonly isDashed: boolean
}

/** The plot is stretched to the width of the page; its texts are outside of it, and keep their size. */
const width = 1_000
const height = 160

/** Parts of the time that have a mark at their beginning. */
const marks = [0, 0.25, 0.5, 0.75]

/**
 * Draws values over time: bars beside each other, or upon each other if there are more than two series.
 *
 * @param textOf makes the text of a value, safe as markup
 */
export function chartPlot(
  { kind, fromMs, bucketMs, title }: Pick<ReportChart, 'kind' | 'fromMs' | 'bucketMs' | 'title'>,
  series: readonly PlottedSeries[],
  textOf: (value: number) => string,
): string {
  const count = series.reduce((max, { values }) => Math.max(max, values.length), 1)
  const bars = kind === 'bars' ? series.filter(({ isDashed }) => !isDashed) : []
  const isStack = bars.length > 2
  const sums = Array.from({ length: count }, (_, bucket) =>
    bars.reduce((sum, { values }) => sum + (values[bucket] ?? 0), 0),
  )
  const largest = series
    .flatMap(({ values }) => values)
    .concat(isStack ? sums : [])
    .reduce((max: number, value) => Math.max(max, value ?? 0), 0)
  const top = niceTop(largest)
  const y = (value: number): number => height - (value / top) * height
  const tip = (name: string, bucket: number, value: number): string => {
    const instant = new Date(fromMs + bucket * bucketMs).toISOString().slice(0, 19).replace('T', ' ')
    return `<title>${markupText(`${instant} ${name}: `)}${textOf(value)}</title>`
  }
  const below = new Array<number>(count).fill(0)
  const drawn = series.map((one) => {
    const { name, color, values, isDashed } = one
    const place = bars.indexOf(one)
    return kind === 'bars' && !isDashed
      ? `<g class="${color}" fill="currentColor">${values.map((value, bucket) => bar(name, place, bucket, value)).join('')}</g>`
      : line(name, color, values, isDashed)
  })
  const grid = [0, top / 2, top].map(
    (value) => `<line x1="0" x2="${width}" y1="${round(y(value))}" y2="${round(y(value))}"/>`,
  )
  const amounts = [top, top / 2, 0].map((value) => `<span>${textOf(value)}</span>`)
  // Marks of one day have its date once. Those of more have a date each, and a time, because few of them are midnights.
  const stepMs = (count / marks.length) * bucketMs
  const times = marks.map((part, index) => {
    const ms = fromMs + part * count * bucketMs
    return `<span>${clockMarkText(ms, Math.min(stepMs, 43_200_000), index === 0 || stepMs > 21_600_000)}</span>`
  })
  return `<div class="plot" role="img" aria-label="${markupText(title)}"><div class="amounts">${amounts.join('')}</div><svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none"><g class="grid">${grid.join('')}</g>${drawn.join('')}</svg><div class="times">${times.join('')}</div></div>`

  function bar(name: string, place: number, bucket: number, value: number | null): string {
    if (value === null || value <= 0) return ''
    const bucketWidth = width / count
    const base = isStack ? below[bucket]! : 0
    below[bucket] = base + value
    const barWidth = (bucketWidth * 0.88) / (isStack ? 1 : bars.length)
    const left = (bucket + 0.06) * bucketWidth + (isStack ? 0 : place * barWidth)
    return `<rect x="${round(left)}" y="${round(y(base + value))}" width="${round(barWidth)}" height="${round(Math.max(1, y(base) - y(base + value)))}">${tip(name, bucket, value)}</rect>`
  }

  function line(name: string, color: string, values: PlottedSeries['values'], isDashed: boolean): string {
    const points = values.map((value, bucket) =>
      value === null ? undefined : `${round(((bucket + 0.5) / count) * width)},${round(y(value))}`,
    )
    const path = points.map((point, bucket) =>
      point === undefined ? '' : `${points[bucket - 1] === undefined ? 'M' : 'L'}${point}`,
    )
    const dots = points.map((point, bucket) =>
      point === undefined || isDashed
        ? ''
        : `<path class="dot" d="M${point}h0">${tip(name, bucket, values[bucket]!)}</path>`,
    )
    return `<g class="${color}${isDashed ? ' dashed' : ''}" fill="none" stroke="currentColor"><path d="${path.join('')}"/>${dots.join('')}</g>`
  }
}

/** @returns 1, 2, 2.5 or 5 times a power of ten that is not below the value */
function niceTop(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) ?? 10) * power
}

function round(value: number): string {
  return value.toFixed(1)
}
