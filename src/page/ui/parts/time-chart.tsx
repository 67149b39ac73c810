import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { useIsDark } from '../shell/theme.ts'
import { markText, rangeText } from '../state/format.ts'
import type { TimeRange } from '../state/record-filter.ts'
import { timeZone } from '../state/time-zone.ts'
import { chooseSelection, moveByKey } from './chart-selection.ts'
import { paintedColor } from './colors.ts'

export interface ChartSeries {
  readonly name: string
  /** A CSS variable such as `--series-1`. */
  readonly color: string
  /** One per bucket. */
  readonly values: readonly (number | null)[]
  /** A series to compare with, drawn as a dashed line. */
  readonly isDashed?: boolean | undefined
}

interface TimeChartProps {
  /** What it shows, in a sentence for screen readers. */
  readonly label: string
  readonly fromMs: number
  readonly bucketMs: number
  readonly buckets: number
  readonly series: readonly ChartSeries[]
  /** `stack`: bars upon each other; `bars` and `lines`: values beside each other. */
  readonly kind: 'stack' | 'bars' | 'lines'
  readonly height: number
  readonly valueText: (value: number) => string
  /** Whether a line goes on over buckets without a value. Default false. */
  readonly connectsGaps?: boolean | undefined
  /** Called with the buckets that were brushed by pointer or keyboard. */
  readonly onBrush?: ((range: Required<TimeRange>) => void) | undefined
}

/** Values over time, with a reading at the pointer, and a brush for a part of the time. */
export function TimeChart(props: TimeChartProps): JSX.Element {
  const { label, fromMs, bucketMs, buckets, series, kind, height, valueText, onBrush } = props
  const frame = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const brush = useRef(onBrush)
  brush.current = onBrush
  const [index, setIndex] = useState<number | undefined>(undefined)
  const isDark = useIsDark()
  const zone = timeZone.use()
  const data = useMemo(() => alignedData(props), [fromMs, bucketMs, buckets, series, kind])
  const shape = `${kind} ${areWhole(series)} ${series.map(({ name, color, isDashed }) => `${name}${color}${isDashed}`).join()}`

  // `shape` stands for the series; their values are set below.
  useEffect(() => {
    const element = frame.current
    if (element === null) return
    const made = new uPlot(
      chartOptions(props, element, {
        onIndex: setIndex,
        onBrush: (range) => brush.current?.(range),
      }),
      data,
      element,
    )
    chart.current = made
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = undefined
      setIndex(undefined)
    }
  }, [shape, height, isDark, zone, fromMs, bucketMs, buckets, onBrush === undefined])

  useEffect(() => {
    chart.current?.setData(data)
  }, [data])

  return (
    <div class="chart">
      {onBrush === undefined ? (
        <div class="plot" ref={frame} role="img" aria-label={label} style={{ height: `${height}px` }} />
      ) : (
        // No element of HTML selects a range of time.
        <div
          class="plot"
          ref={frame}
          role="application"
          aria-label={`${label} Arrow keys read it, Shift with them selects, Enter shows the selection.`}
          // The keys below need the focus.
          tabIndex={0}
          style={{ height: `${height}px` }}
          onKeyDown={(event) => {
            if (chart.current === undefined) return
            const moved = moveByKey(event, chart.current, index, buckets)
            if (moved === 'none') return
            event.preventDefault()
            if (moved === 'chosen') chooseSelection(chart.current, onBrush)
          }}
        />
      )}
      {index !== undefined && index < buckets && chart.current !== undefined && (
        <Reading
          props={props}
          index={index}
          left={
            chart.current.valToPos(fromMs + (index + 0.5) * bucketMs, 'x') + chart.current.over.offsetLeft
          }
          width={chart.current.width}
        />
      )}
      <span class="aside-text" aria-live="polite">
        {index !== undefined && index < buckets && document.activeElement === frame.current
          ? `${rangeText(fromMs + index * bucketMs, fromMs + (index + 1) * bucketMs)}: ${series
              .filter(({ values }) => (values[index] ?? 0) > 0)
              .map(({ name, values }) => `${name} ${valueText(values[index] as number)}`)
              .join(', ')}`
          : ''}
      </span>
    </div>
  )
}

/** The values at the pointer. */
function Reading({
  props,
  index,
  left,
  width,
}: {
  readonly props: TimeChartProps
  readonly index: number
  readonly left: number
  readonly width: number
}): JSX.Element {
  const { series, fromMs, bucketMs, valueText } = props
  const shown = series.filter(({ values }) => (values[index] ?? null) !== null && values[index] !== 0)
  const side = left > width / 2 ? { right: `${width - left + 12}px` } : { left: `${left + 12}px` }
  const start = fromMs + index * bucketMs
  return (
    <div class="tip" aria-hidden="true" style={side}>
      <div class="faint number">{rangeText(start, start + bucketMs)}</div>
      <dl>
        {shown.map(({ name, color, values, isDashed }) => (
          <>
            <dt>
              <span class={`swatch ${isDashed ? 'dashed' : ''}`} style={{ '--series': `var(${color})` }} />{' '}
              {name}
            </dt>
            <dd>{valueText(values[index] as number)}</dd>
          </>
        ))}
      </dl>
      {shown.length === 0 && <span class="soft">nothing</span>}
    </div>
  )
}

/** In a stack, each series is drawn from zero up to its sum with those below it: the highest first, so that none is hidden. */
function alignedData({ fromMs, bucketMs, buckets, series, kind }: TimeChartProps): uPlot.AlignedData {
  const times = Array.from({ length: buckets }, (_, index) => fromMs + index * bucketMs)
  if (kind !== 'stack') return [times, ...series.map(({ values }) => [...values])]
  const sums = new Array<number>(buckets).fill(0)
  const stacked = series.map(({ values }) =>
    values.map((value, index) => {
      sums[index] = (sums[index] ?? 0) + (value ?? 0)
      return sums[index] === 0 ? null : (sums[index] as number)
    }),
  )
  return [times, ...stacked.reverse()]
}

/** Steps between marks of values that have no fractions. */
const wholeSteps = Array.from({ length: 15 }, (_, power) => [1, 2, 2.5, 5].map((step) => step * 10 ** power))
  .flat()
  .filter(Number.isInteger)

function areWhole(series: readonly ChartSeries[]): boolean {
  return series.every(({ values }) => values.every((value) => value === null || Number.isInteger(value)))
}

/** Width of a mark of time; one that has not all of it at the right end is left out. */
const markPixels = 60

function chartOptions(
  { fromMs, bucketMs, buckets, series, kind, height, valueText, connectsGaps, onBrush }: TimeChartProps,
  element: HTMLElement,
  events: {
    readonly onIndex: (index: number | undefined) => void
    readonly onBrush: (range: Required<TimeRange>) => void
  },
): uPlot.Options {
  const line = paintedColor(element, '--line')
  const text = paintedColor(element, '--text-faint')
  const font = `11px ${getComputedStyle(element).fontFamily}`
  const axis = { stroke: text, font, ticks: { show: false }, border: { show: false } }
  const drawn = kind === 'stack' ? [...series].reverse() : series
  const wide = kind !== 'stack' && kind !== 'lines' ? series.filter((one) => one.isDashed !== true).length : 1
  return {
    width: Math.max(1, element.clientWidth),
    height,
    ms: 1,
    tzDate: (ms) => uPlot.tzDate(new Date(ms), timeZone.value),
    legend: { show: false },
    padding: [10, 4, 0, 0],
    scales: {
      x: { time: true, range: () => [fromMs, fromMs + buckets * bucketMs] },
      y: { range: (_chart, _min, max) => [0, max > 0 ? max * 1.06 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        gap: 6,
        space: 96,
        values: (_chart, splits, _axis, _space, stepMs) => {
          const endMs = fromMs + buckets * bucketMs
          const isCut = (ms: number): boolean =>
            ((endMs - ms) / (endMs - fromMs)) * element.clientWidth < markPixels / 2
          return splits.map((ms, index) => (isCut(ms) ? '' : markText(ms, stepMs, index === 0)))
        },
      },
      {
        ...axis,
        grid: { stroke: line, width: 1 },
        space: 34,
        gap: 8,
        ...(areWhole(series) ? { incrs: wholeSteps } : {}),
        // At least half of the first mark of time, which has its date.
        size: (_chart, values) => 22 + 6.4 * Math.max(4, ...(values ?? []).map((one) => one.length)),
        values: (_chart, splits) => splits.map(valueText),
      },
    ],
    cursor: {
      y: false,
      points: { show: kind === 'lines' },
      drag: { x: onBrush !== undefined, y: false, setScale: false },
    },
    series: [
      {},
      ...drawn.map(({ name, color, isDashed }, index): uPlot.Series => {
        const stroke = paintedColor(element, color)
        if (kind === 'lines' || isDashed === true)
          return {
            label: name,
            stroke,
            width: isDashed === true ? 1.2 : 1.8,
            spanGaps: connectsGaps === true,
            ...(isDashed === true ? { dash: [4, 4] } : {}),
            points: { show: true, size: 5, fill: stroke, filter: loneValues },
          }
        return {
          label: name,
          fill: stroke,
          stroke,
          width: 0,
          points: { show: false },
          paths: barPaths(kind === 'stack' ? 0 : index, kind === 'stack' ? 1 : wide),
        }
      }),
    ],
    hooks: {
      setCursor: [
        ({ cursor: { left = -1 }, posToVal }) => {
          const at = left < 0 ? -1 : Math.floor((posToVal(left, 'x') - fromMs) / bucketMs)
          events.onIndex(at >= 0 && at < buckets ? at : undefined)
        },
      ],
      setSelect: [(chart) => chooseSelection(chart, events.onBrush)],
    },
  }
}

/** A value without a neighbor is no line: it needs a point to be seen. */
const loneValues: uPlot.Series.Points.Filter = (chart, seriesIndex) => {
  const values = chart.data[seriesIndex] ?? []
  const isThere = (index: number): boolean => (values[index] ?? null) !== null
  return Array.from(values, (_, index) => index).filter(
    (index) => isThere(index) && !isThere(index - 1) && !isThere(index + 1),
  )
}

/** Bars that fill a bucket, or share it with others. They are drawn here: uPlot's own ones are centered on a value. */
function barPaths(index: number, count: number): uPlot.Series.PathBuilder {
  return (chart, seriesIndex, first, last) => {
    const [times, values] = [chart.data[0], chart.data[seriesIndex] ?? []]
    const { path, bucketPixels } = { path: new Path2D(), bucketPixels: bucketWidth(chart) }
    const gap = bucketPixels > 4 ? Math.max(1, Math.round(bucketPixels * 0.12)) : 0
    const width = (bucketPixels - gap) / count
    const bottom = Math.round(chart.valToPos(0, 'y', true))
    for (let at = first; at <= last; at += 1) {
      const value = values[at] ?? null
      if (value === null || value === 0) continue
      // Whole pixels, so that bars upon each other have the same edges.
      const start = chart.valToPos(times[at] as number, 'x', true) + gap / 2 + index * width
      const left = Math.round(start)
      const right = Math.max(left + 1, Math.round(start + width))
      const top = Math.round(chart.valToPos(value, 'y', true))
      // At least one pixel, so that a single error in a large hour can be seen.
      const height = Math.max(1, bottom - top)
      path.rect(left, bottom - height, right - left, height)
    }
    return { fill: path, stroke: null }
  }
}

function bucketWidth(chart: uPlot): number {
  const [min = 0, max = 1] = [chart.scales.x?.min, chart.scales.x?.max]
  return chart.bbox.width / Math.max(1, chart.data[0].length) || max - min
}
