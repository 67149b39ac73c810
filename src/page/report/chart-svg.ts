import type { ReportChart, ReportUnit } from '../api-report.ts'
import { markupText } from './markup.ts'

/** Colors of series on light and on dark backgrounds, which color-blind people can tell apart. */
export const seriesColors: readonly (readonly [light: string, dark: string])[] = [
  ['#0072b2', '#56b4e9'],
  ['#d55e00', '#ff8c42'],
  ['#009e73', '#2fd3a5'],
  ['#a3397b', '#e78ac3'],
  ['#8a6d00', '#f0e442'],
  ['#5b5bd6', '#a5a5ff'],
  ['#6e7781', '#adb5bd'],
  ['#b42318', '#ff7b72'],
]

const width = 900
const height = 200
const margin = { left: 64, right: 8, top: 8, bottom: 22 }

/**
 * Draws a chart: bars are stacked, lines are drawn over each other.
 *
 * @param names of the series, for tooltips
 * @param textOf makes the text of a value, safe as markup
 */
export function chartSvg(
  { kind, unit, series, fromMs, bucketMs, title }: ReportChart,
  names: readonly string[],
  textOf: (value: number, unit: ReportUnit) => string,
): string {
  const count = series[0]?.values.length ?? 0
  const heights = Array.from({ length: count }, (_, bucket) => {
    const values = series.map(({ values: all }) => all[bucket] ?? 0)
    return kind === 'bars'
      ? values.reduce((sum, one) => sum + one, 0)
      : values.reduce((a, b) => Math.max(a, b), 0)
  })
  const top = niceTop(heights.reduce((a, b) => Math.max(a, b), 0))
  const plot = { w: width - margin.left - margin.right, h: height - margin.top - margin.bottom }
  const x = (bucket: number): number => margin.left + (bucket / count) * plot.w
  const y = (value: number): number => margin.top + plot.h - (value / top) * plot.h
  const instant = (bucket: number): string => new Date(fromMs + bucket * bucketMs).toISOString()
  const labels = [0, top / 2, top].map(
    (value) =>
      `<line class="axis" x1="${margin.left}" x2="${width - margin.right}" y1="${round(y(value))}" y2="${round(y(value))}"/><text x="${margin.left - 6}" y="${round(y(value) + 4)}" text-anchor="end">${textOf(value, unit)}</text>`,
  )
  const times = [0, 0.25, 0.5, 0.75].map((part) => {
    const bucket = Math.floor(part * count)
    return `<text x="${round(x(bucket))}" y="${height - 6}">${instant(bucket).slice(5, 16).replace('T', ' ')}</text>`
  })
  const marks = kind === 'bars' ? bars() : lines()
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${markupText(title)}">${labels.join('')}${times.join('')}${marks}</svg>`

  function bars(): string {
    const below = Array<number>(count).fill(0)
    return series
      .map(({ values }, index) => {
        const rectangles = values.flatMap((value, bucket) => {
          if (value === null || value <= 0) return []
          const base = below[bucket]!
          below[bucket] = base + value
          const tip = `${instant(bucket).slice(0, 19).replace('T', ' ')} ${names[index]}: `
          return `<rect x="${round(x(bucket) + 0.5)}" y="${round(y(base + value))}" width="${round(Math.max(1, plot.w / count - 1))}" height="${round(y(base) - y(base + value))}"><title>${markupText(tip)}${textOf(value, unit)}</title></rect>`
        })
        return `<g class="c${index % seriesColors.length}" fill="currentColor">${rectangles.join('')}</g>`
      })
      .join('')
  }

  function lines(): string {
    return series
      .map(({ values }, index) => {
        const points = values.map((value, bucket) =>
          value === null ? undefined : `${round(x(bucket + 0.5))},${round(y(value))}`,
        )
        const path = points.map((point, bucket) =>
          point === undefined ? '' : `${points[bucket - 1] === undefined ? 'M' : 'L'}${point}`,
        )
        const dots = points.flatMap((point, bucket) => {
          if (point === undefined) return []
          const [cx, cy] = point.split(',')
          const tip = `${instant(bucket).slice(0, 19).replace('T', ' ')} ${names[index]}: `
          return `<circle cx="${cx}" cy="${cy}" r="2.5" fill="currentColor" stroke="none"><title>${markupText(tip)}${textOf(values[bucket]!, unit)}</title></circle>`
        })
        return `<g class="c${index % seriesColors.length}" fill="none" stroke="currentColor" stroke-width="1.5"><path d="${path.join('')}"/>${dots.join('')}</g>`
      })
      .join('')
  }
}

/** @returns 1, 2 or 5 times a power of ten that is not below the value */
function niceTop(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power
}

function round(value: number): string {
  return value.toFixed(1)
}
