import type uPlot from 'uplot'
import type { TimeRange } from '../state/record-filter.ts'

/** Passes on the buckets under the selection, and removes it. */
export function chooseSelection(chart: uPlot, use: (range: Required<TimeRange>) => void): void {
  const { left, width } = chart.select
  if (width < 3) return
  const times = chart.data[0]
  const bucketMs = (times[1] ?? 0) - (times[0] ?? 0)
  if (bucketMs <= 0) return
  const first = times[0] as number
  const round = (ms: number): number => first + Math.round((ms - first) / bucketMs) * bucketMs
  const fromMs = round(chart.posToVal(left, 'x'))
  const toMs = Math.max(fromMs + bucketMs, round(chart.posToVal(left + width, 'x')))
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  use({ fromMs, toMs })
}

/** @returns what a key did: nothing, a move of cursor or selection, or the choice of the selection */
export function moveByKey(
  { key, shiftKey }: KeyboardEvent,
  chart: uPlot,
  index: number | undefined,
  buckets: number,
): 'none' | 'moved' | 'chosen' {
  if (key === 'Enter') return chart.select.width < 3 ? 'none' : 'chosen'
  if (key === 'Escape') {
    if (chart.select.width === 0) return 'none'
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    return 'moved'
  }
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    PageUp: -10,
    PageDown: 10,
    Home: -buckets,
    End: buckets,
  }
  const step = steps[key]
  if (step === undefined) return 'none'
  const from = index ?? (step > 0 ? -1 : buckets)
  const next = Math.min(buckets - 1, Math.max(0, from + step))
  const width = chart.over.clientWidth / buckets
  if (shiftKey) {
    const { select } = chart
    // The end that moves is the one the cursor is at.
    const anchor =
      select.width < 3
        ? Math.max(0, from)
        : Math.round(select.left / width) < from
          ? Math.round(select.left / width)
          : Math.round((select.left + select.width) / width) - 1
    const [low, high] = anchor < next ? [anchor, next] : [next, anchor]
    chart.setSelect(
      { left: low * width, width: (high - low + 1) * width, top: 0, height: chart.over.clientHeight },
      false,
    )
  }
  chart.setCursor({ left: (next + 0.5) * width, top: 1 })
  return 'moved'
}
