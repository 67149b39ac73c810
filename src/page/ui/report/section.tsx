import type { JSX } from 'preact'
import { useCallback, useEffect } from 'preact/hooks'
import {
  hasAmount,
  type ReportChart,
  type ReportFigure,
  type Report as ReportReply,
  type ReportSection,
  type ReportSeries,
  type ReportServer,
} from '../../api-report.ts'
import { Failure, Waiting } from '../parts/basics.tsx'
import { BucketTable } from '../parts/bucket-table.tsx'
import { isLevel, levelColor, seriesColor } from '../parts/colors.ts'
import { type ChartSeries, TimeChart } from '../parts/time-chart.tsx'
import { change } from '../state/address.ts'
import { lengthText, rangeText, reportValueText, shownText } from '../state/format.ts'
import type { TimeRange } from '../state/record-filter.ts'
import { useRequest } from '../state/request.ts'
import { ReportTableView } from './report-table.tsx'

const chartHeight = 170

/** A section of the report, computed when it is due. */
export function Section(props: {
  readonly id: string
  readonly title: string
  readonly query: string
  readonly isDue: boolean
  readonly onSettled: () => void
}): JSX.Element {
  const { id, title, query, isDue, onSettled } = props
  const path = `report?section=${id}${query === '' ? '' : `&${query}`}`
  const { data, error, isLoading, settledPath, reload } = useRequest<ReportReply>(isDue ? path : undefined)
  const isSettled = isDue && settledPath === path
  // Once for each end of a request.
  useEffect(() => {
    if (isSettled) onSettled()
  }, [isSettled, query])
  const section = data?.sections[0]
  return (
    <section
      class={`card report-section ${isLoading && data !== undefined ? 'progress' : ''}`}
      id={id}
      tabIndex={-1}
      aria-label={title}
      aria-busy={isLoading}
    >
      <div class="card-head">
        <h2>{section?.title ?? title}</h2>
        {data !== undefined && section !== undefined && section.figures.length > 0 && (
          <ServerKey servers={data.servers} />
        )}
        {data !== undefined && (
          <span class="faint number report-time">
            {rangeText(data.fromMs, data.toMs)}
            {data.compared !== undefined && `, beside ${rangeText(data.compared.fromMs, data.compared.toMs)}`}
            {` · ${lengthText(data.elapsedMs)}`}
          </span>
        )}
      </div>
      {error !== undefined && (
        <div class="card-body">
          <Failure error={error} retry={reload} />
        </div>
      )}
      {section === undefined || data === undefined ? (
        error === undefined && (
          <div class="card-body">
            <Waiting height={id === 'overview' ? 260 : 140} />
          </div>
        )
      ) : (
        <Contents section={section} report={data} />
      )}
    </section>
  )
}

function Contents({
  section,
  report,
}: {
  readonly section: ReportSection
  readonly report: ReportReply
}): JSX.Element {
  const { figures, charts, tables, notes } = section
  const { servers, fromMs, toMs } = report
  const hasNothing =
    !figures.some(hasAmount) &&
    !charts.some(({ series }) => series.some(hasAmount)) &&
    tables.every(({ rows }) => rows.length === 0)
  return (
    <>
      {hasNothing && <p class="report-nothing soft">Nothing of this was logged in this time.</p>}
      {!hasNothing && figures.length > 0 && (
        <dl class="report-figures">
          {figures.map((figure) => (
            <FigureTile key={figure.id} figure={figure} servers={servers} />
          ))}
        </dl>
      )}
      {!hasNothing && charts.length > 0 && (
        <div class="report-charts">
          {charts.map((chart) => (
            <Charts key={chart.id} chart={chart} servers={servers} />
          ))}
        </div>
      )}
      {tables
        .filter(({ rows }) => rows.length > 0)
        .map((table) => (
          <ReportTableView key={table.id} section={section.id} table={table} range={{ fromMs, toMs }} />
        ))}
      {notes.length > 0 && (
        <ul class="report-notes">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </>
  )
}

/** Which color stands for which server. */
function ServerKey({ servers }: { readonly servers: readonly ReportServer[] }): JSX.Element | null {
  if (servers.length < 2) return null
  return (
    <ul class="key" aria-hidden="true">
      {servers.map(({ id }, index) => (
        <li key={id}>
          <span class="swatch" style={{ '--series': `var(${seriesColor(index)})` }} />
          {shownText(id)}
        </li>
      ))}
    </ul>
  )
}

function FigureTile({
  figure,
  servers,
}: {
  readonly figure: ReportFigure
  readonly servers: readonly ReportServer[]
}): JSX.Element {
  return (
    <div>
      <dt>{figure.label}</dt>
      {servers.map(({ id }, index) => {
        const value = figure.values[index] ?? null
        const before = figure.before?.[index] ?? null
        return (
          <dd key={id} class={`number ${figure.unit === 'instant' ? 'small-figure' : ''}`}>
            {servers.length > 1 && (
              <span class="swatch" style={{ '--series': `var(${seriesColor(index)})` }} title={shownText(id)}>
                <span class="aside-text">{shownText(id)}</span>
              </span>
            )}
            {figureText(value, figure.unit)}
            {figure.before !== undefined && <Difference value={value} before={before} unit={figure.unit} />}
          </dd>
        )
      })}
    </div>
  )
}

/** An instant takes too much space for a figure with its fraction of a second. */
function figureText(value: number | null, unit: ReportFigure['unit']): string {
  const text = reportValueText(value, unit)
  return unit === 'instant' ? text.slice(0, 19) : text
}

function Difference({
  value,
  before,
  unit,
}: {
  readonly value: number | null
  readonly before: number | null
  readonly unit: ReportFigure['unit']
}): JSX.Element | null {
  if (value === null || before === null || unit === 'instant') return null
  const text = before === 0 ? (value === 0 ? '±0' : 'new') : percentText((value / before - 1) * 100)
  return (
    <span class="faint difference" title={`before: ${reportValueText(before, unit)}`}>
      {text}
    </span>
  )
}

function percentText(percent: number): string {
  if (Math.abs(percent) < 0.5) return '±0 %'
  const size = Math.abs(percent) >= 1_000 ? '>999' : Math.abs(percent).toFixed(0)
  return `${percent > 0 ? '+' : '−'}${size} %`
}

/** A chart with several kinds of values for each server is drawn once for each server, so that they lie beside each other. */
function Charts({
  chart,
  servers,
}: {
  readonly chart: ReportChart
  readonly servers: readonly ReportServer[]
}): JSX.Element {
  const ids = [...new Set(chart.series.map(({ server }) => server))]
  if (ids.length === chart.series.length)
    return <ChartPanel chart={chart} series={seriesByServer(chart, servers)} />
  const names = [...new Set(chart.series.map(({ name }) => name))]
  return (
    <>
      {ids.map((id) => {
        const own = chart.series.filter(({ server }) => server === id)
        const series = own.flatMap((one) => withBefore(one, one.name, kindColor(one.name, names)))
        const title = ids.length > 1 ? `${chart.title}: ${shownText(id)}` : chart.title
        return <ChartPanel key={id} chart={{ ...chart, title }} series={series} />
      })}
    </>
  )
}

function ChartPanel({
  chart: { title, unit, kind, fromMs, bucketMs },
  series,
}: {
  readonly chart: ReportChart
  readonly series: readonly ChartSeries[]
}): JSX.Element {
  const buckets = series.reduce((max, { values }) => Math.max(max, values.length), 0)
  const valueText = useCallback((value: number) => reportValueText(value, unit), [unit])
  const onBrush = useCallback(({ fromMs: from, toMs: to }: TimeRange) => {
    change({ fromMs: from && Math.round(from), toMs: to && Math.round(to), last: undefined })
  }, [])
  // Bars upon each other are one kind of thing in parts; bars beside each other would be too many to tell apart.
  const isStack = kind === 'bars' && series.length > 2 && series.every(({ isDashed }) => isDashed !== true)
  return (
    <figure class="report-chart">
      <figcaption>
        <h3>{title}</h3>
        <ul class="key">
          {series.map(({ name, color, isDashed }) => (
            <li key={name}>
              <span
                class={`swatch ${isDashed === true ? 'dashed' : ''}`}
                style={{ '--series': `var(${color})` }}
              />
              {name}
            </li>
          ))}
        </ul>
      </figcaption>
      {buckets === 0 ? (
        <p class="soft">Nothing in this time.</p>
      ) : (
        <>
          <TimeChart
            label={`${title}, ${rangeText(fromMs, fromMs + buckets * bucketMs)}.`}
            fromMs={fromMs}
            bucketMs={bucketMs}
            buckets={buckets}
            series={series}
            kind={isStack ? 'stack' : kind}
            height={chartHeight}
            valueText={valueText}
            onBrush={onBrush}
          />
          <details class="behind">
            <summary>As a table</summary>
            <BucketTable
              label={title}
              fromMs={fromMs}
              bucketMs={bucketMs}
              series={series}
              valueText={valueText}
            />
          </details>
        </>
      )}
    </figure>
  )
}

/** Servers have the colors that they have in the figures. */
function seriesByServer({ series }: ReportChart, servers: readonly ReportServer[]): readonly ChartSeries[] {
  const isOneKind = new Set(series.map(({ name }) => name)).size === 1
  return series.flatMap((one, index) => {
    const place = servers.findIndex(({ id }) => id === one.server)
    const name = isOneKind ? one.server : series.length === 1 ? one.name : `${one.name}, ${one.server}`
    return withBefore(one, name, seriesColor(place < 0 ? index : place))
  })
}

function kindColor(name: string, names: readonly string[]): string {
  return isLevel(name) ? levelColor(name) : seriesColor(names.indexOf(name))
}

function withBefore({ values, before }: ReportSeries, name: string, color: string): readonly ChartSeries[] {
  const shown = shownText(name)
  const own = { name: shown, color, values }
  return before === undefined
    ? [own]
    : [own, { name: `${shown}, before`, color, values: before, isDashed: true }]
}
