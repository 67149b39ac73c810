import type { JSX } from 'preact'
import { useCallback, useMemo } from 'preact/hooks'
import type { Histogram } from '../../api.ts'
import { Choices, Failure, Waiting } from '../parts/basics.tsx'
import { BucketTable } from '../parts/bucket-table.tsx'
import { levelColor, levelRank, seriesColor } from '../parts/colors.ts'
import { Icon } from '../parts/icons.tsx'
import { type ChartSeries, TimeChart } from '../parts/time-chart.tsx'
import { change } from '../state/address.ts'
import { countText, lengthText, rangeText, secondText, shortCount } from '../state/format.ts'
import type { TimeRange } from '../state/record-filter.ts'
import type { CountedHistogram } from './use-histogram.ts'

const height = 150

const groupings = [
  ['severity', 'Severity'],
  ['event', 'Event'],
  ['server', 'Server'],
] as const

/** How many records there are when; a part of the time can be chosen with the pointer or the keyboard. */
export function HistogramPanel(props: {
  readonly histogram: CountedHistogram
  readonly by: Histogram['by']
  readonly range: TimeRange
}): JSX.Element {
  const { histogram, by, range } = props
  const { data, error, isLoading, isCounting, goOn, reload } = histogram
  const series = useMemo(() => (data === undefined ? [] : chartSeries(data)), [data])
  const onBrush = useCallback(({ fromMs, toMs }: TimeRange) => {
    change({
      fromMs: fromMs && Math.round(fromMs),
      toMs: toMs && Math.round(toMs),
      last: undefined,
      record: undefined,
    })
  }, [])
  return (
    <section
      class={`card histogram ${isLoading || isCounting ? 'progress' : ''}`}
      aria-label="Records over time"
      aria-busy={isLoading || isCounting}
    >
      <div class="histogram-head">
        <Choices
          label="Colors show"
          value={by}
          options={groupings}
          onChoose={(one) => change({ by: one === 'severity' ? undefined : one }, 'replace')}
        />
        {/* Quiet kinds come last in the reply, and lie at the bottom of the bars. */}
        <ul class="key">
          {series.toReversed().map(({ name, color }) => (
            <li key={name}>
              <span class="swatch" style={{ '--series': `var(${color})` }} />
              {name}
            </li>
          ))}
        </ul>
        {data !== undefined && data.buckets > 0 && (
          <RangeButtons
            range={range}
            bucketMs={data.bucketMs}
            fromMs={data.fromMs}
            toMs={data.fromMs + data.buckets * data.bucketMs}
          />
        )}
      </div>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {data?.countedFromMs !== undefined && (
        <p class="histogram-status soft" role="status">
          {isCounting ? 'Counting' : 'Counted'}: exact back to{' '}
          <span class="number">{secondText(data.countedFromMs)}</span>
          {data.estimated === undefined ? '.' : ', before that about as many as the files hold.'}
          {goOn !== undefined && (
            <button type="button" class="button small" onClick={goOn}>
              Count older records
            </button>
          )}
        </p>
      )}
      {data === undefined ? (
        error === undefined && <Waiting height={height} />
      ) : (
        <TimeChart
          label={chartText(data)}
          fromMs={data.fromMs}
          bucketMs={data.bucketMs}
          buckets={data.buckets}
          series={series}
          kind="stack"
          height={height}
          valueText={shortCount}
          onBrush={onBrush}
        />
      )}
      {data !== undefined && (
        <details class="behind">
          <summary>The counts as a table</summary>
          <BucketTable
            label="Records by time"
            fromMs={data.fromMs}
            bucketMs={data.bucketMs}
            series={series.toReversed()}
            valueText={countText}
          />
        </details>
      )}
    </section>
  )
}

/** Moves and widens the range of time. */
function RangeButtons(props: {
  readonly range: TimeRange
  readonly fromMs: number
  readonly toMs: number
  readonly bucketMs: number
}): JSX.Element {
  const { range, bucketMs } = props
  const fromMs = range.fromMs ?? props.fromMs
  const toMs = range.toMs ?? props.toMs
  const lengthMs = toMs - fromMs
  const show = (shiftFrom: number, shiftTo: number): void =>
    change({
      fromMs: Math.round(fromMs + shiftFrom * lengthMs),
      toMs: Math.round(toMs + shiftTo * lengthMs),
      last: undefined,
      record: undefined,
    })
  return (
    <div class="range-buttons">
      <span class="faint number hide-narrow">a bar is {lengthText(bucketMs)}</span>
      <button
        type="button"
        class="button plain small square"
        aria-label="Earlier"
        title="Earlier"
        onClick={() => show(-0.5, -0.5)}
      >
        <Icon name="left" />
      </button>
      <button
        type="button"
        class="button plain small square"
        aria-label="Zoom out"
        title="Zoom out"
        onClick={() => show(-0.5, 0.5)}
      >
        <Icon name="out" />
      </button>
      <button
        type="button"
        class="button plain small square"
        aria-label="Later"
        title="Later"
        onClick={() => show(0.5, 0.5)}
      >
        <Icon name="right" />
      </button>
    </div>
  )
}

/** From the bottom of the bars up: quiet levels, and then loud ones. */
function chartSeries({ by, series, estimated }: Histogram): readonly ChartSeries[] {
  const counted = series.map(({ name, counts }, index) => ({
    name: name.replaceAll('_', ' '),
    color: by === 'severity' ? levelColor(name) : seriesColor(index),
    values: counts,
  }))
  // Older records can bring a level that the first ones did not have.
  if (by === 'severity') counted.sort((a, b) => levelRank(a.name) - levelRank(b.name))
  const uncounted = { name: 'not counted yet', color: '--uncounted', values: estimated ?? [] }
  return [...(estimated === undefined ? [] : [uncounted]), ...counted].reverse()
}

function chartText({ total, fromMs, bucketMs, buckets, series }: Histogram): string {
  const sums = series.map(
    ({ name, counts }) => `${name} ${countText(counts.reduce((sum, one) => sum + one, 0))}`,
  )
  return `${countText(total)} records, ${rangeText(fromMs, fromMs + buckets * bucketMs)}: ${sums.join(', ')}.`
}
