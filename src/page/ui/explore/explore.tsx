import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { About, Facets, Histogram, HistogramRequest } from '../../api.ts'
import { Empty, Failure } from '../parts/basics.tsx'
import { Icon } from '../parts/icons.tsx'
import { InWarehouse } from '../parts/in-warehouse.tsx'
import { TimeRangeMenu } from '../parts/time-range-menu.tsx'
import { change } from '../state/address.ts'
import { countText, lengthText, secondText, shortCount } from '../state/format.ts'
import { useLive } from '../state/live.ts'
import { filterParameters, placeOf, placeText, timeRangeOf } from '../state/record-filter.ts'
import { pathOf, useRequest } from '../state/request.ts'
import { FacetLists } from './facet-lists.tsx'
import { FilterChips } from './filter-chips.tsx'
import { HistogramPanel } from './histogram-panel.tsx'
import { RecordList } from './record-list.tsx'
import { RecordPanel } from './record-panel.tsx'
import { SearchField } from './search-field.tsx'
import { useHistogram } from './use-histogram.ts'
import { useRecordPages } from './use-record-pages.ts'

type GroupedBy = NonNullable<HistogramRequest['by']>

/** How often the histogram is counted again while new records are followed. */
const recountMs = 5_000

/** The records of a range of time: how many when, which, and what happened around one. */
export function Explore({
  about,
  parameters,
}: {
  readonly about: About
  readonly parameters: URLSearchParams
}): JSX.Element {
  const [round, setRound] = useState(0)
  const [recountedMs, setRecountedMs] = useState(0)
  const [hasFacets, setFacets] = useState(false)
  const live = useLive()
  const isLive = parameters.get('live') === '1'
  const last = parameters.get('last')
  // The last hours end when the page was loaded, and move on with a refresh.
  const nowMs = useMemo(() => Date.now(), [last, round])
  const range = timeRangeOf(parameters, nowMs)
  const query = filterParameters(parameters, range)
  const text = query.toString()
  const by = groupedBy(parameters.get('by'))
  // While records are followed, the last hours of the histogram move on; those of the list have the new records above them.
  const countedRange = timeRangeOf(parameters, Math.max(nowMs, isLive ? recountedMs : 0))
  const histogramQuery = filterParameters(parameters, countedRange)
  histogramQuery.set('by', by)
  const isUsable = about.unavailable === undefined && about.records !== undefined
  const histogram = useHistogram(isUsable ? pathOf('histogram', histogramQuery) : undefined)
  const facets = useRequest<Facets>(isUsable ? pathOf('facets', query) : undefined)
  const pages = useRecordPages(text, isUsable ? round : -1)
  useRecount(isLive ? live.landed : 0, () =>
    last === null ? histogram.reload() : setRecountedMs(Date.now()),
  )
  const place = placeOf(parameters.get('record'))
  const refresh = (): void => {
    setRound((one) => one + 1)
    histogram.reload()
    facets.reload()
  }
  // Events have no record that landed before the following began or while the server was away, and they are dropped when it
  // ends. So the pages are read again each time.
  const follows = isLive ? live.begun : 0
  const followed = useRef(follows)
  useEffect(() => {
    if (followed.current === follows) return
    followed.current = follows
    refresh()
  }, [follows])
  const list = useRef<HTMLElement>(null)
  const panelHadFocus = useRef(false)
  useEffect(() => {
    if (place !== undefined || !panelHadFocus.current) return
    panelHadFocus.current = false
    list.current?.querySelector<HTMLElement>('[role=grid]')?.focus()
  }, [place === undefined])

  if (about.unavailable !== undefined)
    return <InWarehouse room="Explore" title="Records cannot be shown here" about={about} />
  if (about.records === undefined)
    return (
      <Empty title="No records have landed yet" room="Explore">
        <p>
          {about.isTailing
            ? 'They appear here with the first commit.'
            : 'Start a process with tailrace start: records appear with its first commit.'}
        </p>
        <button type="button" class="button" onClick={() => location.reload()}>
          Look again
        </button>
      </Empty>
    )
  const records = isLive ? withoutDoubles([...live.records, ...pages.records]) : pages.records
  const fromMs = range.fromMs ?? about.records.fromMs
  const toMs = range.toMs ?? about.records.toMs
  return (
    <>
      <h1 class="aside-text">Explore</h1>
      <div class="explore-bar">
        <SearchField parameters={parameters} />
        <TimeRangeMenu parameters={parameters} about={about} wholeName="All records" />
        <button
          type="button"
          class={`button ${isLive ? 'on' : ''}`}
          aria-pressed={isLive}
          onClick={() => change({ live: isLive ? undefined : '1' })}
        >
          <Icon name="live" /> Follow
        </button>
        <button type="button" class="button" onClick={refresh} disabled={pages.isLoading}>
          Refresh
        </button>
        <button
          type="button"
          class="button only-narrow"
          aria-expanded={hasFacets}
          onClick={() => setFacets(!hasFacets)}
        >
          <Icon name="filter" /> Filter
        </button>
      </div>
      <FilterChips parameters={parameters} range={range} />
      <HistogramPanel histogram={histogram} by={by} range={countedRange} />
      <div class={`explore ${place === undefined ? '' : 'has-record'} ${hasFacets ? 'has-facets' : ''}`}>
        <FacetLists facets={facets} parameters={parameters} />
        <section class="card records-card" aria-label="Records" ref={list}>
          <div class="records-head">
            <h2>Records</h2>
            <span class="soft number" role="status">
              {histogram.data !== undefined && matchText(histogram.data)}
              {pages.elapsedMs !== undefined && ` · found in ${lengthText(pages.elapsedMs)}`}
              {pages.hasMore &&
                pages.searchedToMs !== undefined &&
                ` · searched back to ${secondText(pages.searchedToMs)}`}
              {isLive && ` · ${countText(live.landed)} new since following`}
            </span>
            {pages.goOn !== undefined && (
              <button type="button" class="button small" onClick={pages.goOn}>
                Search older records
              </button>
            )}
          </div>
          {isLive && live.trouble !== undefined && (
            <p class="note warn">
              <Icon name="warn" /> New records could not be read: {live.trouble.message} It is tried again.
            </p>
          )}
          {isLive && live.isCut && (
            <p class="note warn">
              <Icon name="warn" /> More records land than are shown. Refresh shows all.
            </p>
          )}
          {pages.error !== undefined && (
            <div class="card-body">
              <Failure error={pages.error} retry={pages.retry} />
            </div>
          )}
          {pages.isReady && !pages.hasMore && records.length === 0 && pages.error === undefined ? (
            <NoRecords about={about} parameters={parameters} />
          ) : (
            <RecordList
              records={records}
              newCount={isLive ? live.landed : 0}
              newRows={isLive ? live.records.length : 0}
              query={last === null ? text : parameters.toString()}
              hasMore={pages.hasMore}
              isLoading={pages.isLoading}
              isReady={pages.isReady}
              isPaused={pages.goOn !== undefined}
              loadMore={pages.loadMore}
              rangeMs={toMs - fromMs}
              word={parameters.get('q') ?? ''}
              opened={place === undefined ? undefined : placeText(place)}
            />
          )}
        </section>
        {place !== undefined && (
          <RecordPanel
            key={placeText(place)}
            place={place}
            hadFocus={panelHadFocus}
            known={records.find((one) => placeText(one) === placeText(place))}
          />
        )}
      </div>
    </>
  )
}

/** @returns how many records match, as far as they have been counted */
function matchText({ total, estimated, countedFromMs }: Histogram): string {
  if (countedFromMs === undefined) return `${countText(total)} match`
  const more = estimated?.reduce((sum, one) => sum + one, 0)
  return more === undefined ? `${countText(total)} so far` : `about ${shortCount(total + more)} match`
}

function NoRecords({
  about,
  parameters,
}: {
  readonly about: About
  readonly parameters: URLSearchParams
}): JSX.Element {
  const { records } = about
  const hasRange = ['last', 'fromMs', 'toMs'].some((name) => parameters.has(name))
  return (
    <Empty title="No record matches" icon="explore">
      {records !== undefined && (
        <p>
          The tables hold records from <span class="nowrap">{secondText(records.fromMs)}</span> to{' '}
          <span class="nowrap">{secondText(records.toMs)}</span>.
        </p>
      )}
      {hasRange ? (
        <button
          type="button"
          class="button"
          onClick={() => change({ last: undefined, fromMs: undefined, toMs: undefined })}
        >
          Show all times
        </button>
      ) : (
        <p>Remove a filter above, or search for less.</p>
      )}
    </Empty>
  )
}

function groupedBy(text: string | null): GroupedBy {
  return text === 'server' || text === 'event' ? text : 'severity'
}

/** A record that landed after the following began may be in a page, too. */
function withoutDoubles<Row extends Parameters<typeof placeText>[0]>(
  records: readonly Row[],
): readonly Row[] {
  const byPlace = new Map<string, Row>()
  for (const record of records) {
    const key = placeText(record)
    if (!byPlace.has(key)) byPlace.set(key, record)
  }
  return [...byPlace.values()]
}

/** Counts again when new records have come, at most every few seconds. */
function useRecount(count: number, reload: () => void): void {
  const latest = useRef({ count, counted: count, reload })
  latest.current = { ...latest.current, count, reload }
  useEffect(() => {
    const timer = setInterval(() => {
      const { current } = latest
      if (current.count === current.counted) return
      latest.current = { ...current, counted: current.count }
      current.reload()
    }, recountMs)
    return () => clearInterval(timer)
  }, [])
}
