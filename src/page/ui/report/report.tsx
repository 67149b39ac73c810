import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { About, TableCatalog } from '../../api.ts'
import { type ReportSectionId, reportSectionIds } from '../../api-report.ts'
import { Choices, Empty, showFocused } from '../parts/basics.tsx'
import { Icon } from '../parts/icons.tsx'
import { InWarehouse } from '../parts/in-warehouse.tsx'
import { TimeRangeMenu } from '../parts/time-range-menu.tsx'
import { change } from '../state/address.ts'
import { timeRangeOf } from '../state/record-filter.ts'
import { useRequest } from '../state/request.ts'
import { Section } from './section.tsx'

/** Names before a section has been computed. */
const sectionTitles: Readonly<Record<ReportSectionId, string>> = {
  overview: 'Overview',
  statements: 'Statements',
  slow: 'Slow statements',
  errors: 'Errors',
  locks: 'Locks and deadlocks',
  checkpoints: 'Checkpoints',
  autovacuum: 'Autovacuum',
  temp_files: 'Temporary files',
  sessions: 'Sessions and connections',
  audit: 'Audit',
  replication: 'Replication',
  changes: 'Changes',
}

const dayMs = 86_400_000

const comparisons = [
  ['', 'Alone'],
  ['previous', 'With the time before'],
  ['week', 'With last week'],
] as const

/** What the views say of a range of time. */
export function Report({
  about,
  parameters,
}: {
  readonly about: About
  readonly parameters: URLSearchParams
}): JSX.Element {
  const last = parameters.get('last')
  // The last hours end when they were chosen.
  const nowMs = useMemo(() => Date.now(), [last])
  const { data: catalog } = useRequest<TableCatalog>('tables')
  const query = reportParameters(parameters, nowMs, about.records)
  const text = query.toString()
  const [settled, setSettled] = useState<SettledSections>({ text, ids: [] })
  const settledIds = settled.text === text ? settled.ids : []
  const next = reportSectionIds.find((id) => !settledIds.includes(id))
  const chosen = reportSectionIds.find((id) => id === parameters.get('section'))
  const [current, setCurrent] = useState<string>(chosen ?? reportSectionIds[0])
  useSectionInView(chosen, settledIds.length)
  if (about.unavailable !== undefined)
    return <InWarehouse room="Report" title="The report cannot be shown here" about={about} />
  if (about.records === undefined)
    return (
      <Empty title="No records have landed yet" room="Report">
        <p>
          {about.isTailing
            ? 'The report appears here with the first commit.'
            : 'The report is made of the records of the tables. Start a process with tailrace start.'}
        </p>
      </Empty>
    )
  const logs = catalog?.logs.filter(({ exists }) => exists) ?? []
  const comparison = comparisons.find(([value]) => value === parameters.get('compare'))?.[0] ?? ''
  return (
    <>
      <div class="room-head">
        <h1>Report</h1>
        {logs.length > 1 && (
          <Choices
            label="Tables"
            value={parameters.get('table') ?? ''}
            options={[['', 'All servers'], ...logs.map(({ id }) => [id, id] as const)]}
            onChoose={(table) => change({ table: table === '' ? undefined : table })}
          />
        )}
        <Choices
          label="Compare"
          value={comparison}
          options={comparisons}
          onChoose={(value) => change({ compare: value === '' ? undefined : value })}
        />
        <TimeRangeMenu parameters={parameters} about={about} wholeName="Newest day" />
        <a class="button" href={`api/report.html?${query}`} download="report.html">
          <Icon name="download" /> HTML
        </a>
      </div>
      <div class="report">
        <SectionLinks current={current} onCurrent={setCurrent} />
        <div class="stack">
          {reportSectionIds.map((id) => (
            <Section
              key={id}
              id={id}
              title={sectionTitles[id]}
              query={text}
              // One after the other, so that the first is there soon; but not the one that is looked at.
              isDue={settledIds.includes(id) || id === next || id === current}
              onSettled={() => setSettled((before) => settledWith(before, text, id))}
            />
          ))}
        </div>
      </div>
    </>
  )
}

/** The sections that have been computed for a query. */
interface SettledSections {
  readonly text: string
  readonly ids: readonly ReportSectionId[]
}

function settledWith(before: SettledSections, text: string, id: ReportSectionId): SettledSections {
  return { text, ids: [...(before.text === text ? before.ids : []), id] }
}

/** @returns the parameters of ReportRequest without the section */
function reportParameters(
  parameters: URLSearchParams,
  nowMs: number,
  records: About['records'],
): URLSearchParams {
  const query = new URLSearchParams()
  const chosen = timeRangeOf(parameters, nowMs)
  // The end is exclusive, and the newest record belongs to the day.
  const toMs = chosen.toMs ?? (records && records.toMs + 1)
  const newestDay = toMs === undefined ? undefined : Math.max(records?.fromMs ?? 0, toMs - dayMs)
  const fromMs = chosen.fromMs ?? newestDay
  if (fromMs !== undefined) query.set('fromMs', String(fromMs))
  if (toMs !== undefined) query.set('toMs', String(toMs))
  for (const table of parameters.getAll('table')) query.append('table', table)
  const compare = parameters.get('compare')
  if (compare === 'previous' || compare === 'week') query.set('compare', compare)
  return query
}

/** How far the page is scrolled, and its height. */
interface PagePlace {
  readonly y: number
  readonly height: number
}

function pagePlace(): PagePlace {
  return { y: scrollY, height: document.documentElement.scrollHeight }
}

/** Keeps the section that the URL names in view while those above it grow, until the reader does something. */
function useSectionInView(id: ReportSectionId | undefined, settledCount: number): void {
  const isFree = useRef(false)
  const placed = useRef<PagePlace | undefined>(undefined)
  useEffect(() => {
    const free = (): void => {
      isFree.current = true
    }
    // The scrollbar has no other event. A section that arrives may move the page, too, but then its height changes.
    const onScroll = (): void => {
      const { y, height } = pagePlace()
      if (placed.current?.height === height && placed.current.y !== y) free()
    }
    const signs = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const
    for (const sign of signs) addEventListener(sign, free, { passive: true })
    addEventListener('scroll', onScroll, { passive: true })
    return () => {
      for (const sign of signs) removeEventListener(sign, free)
      removeEventListener('scroll', onScroll)
    }
  }, [])
  useEffect(() => {
    if (id === undefined || isFree.current) return
    document.getElementById(id)?.scrollIntoView()
    placed.current = pagePlace()
  }, [settledCount])
}

/** Leads to the sections; the one in view is marked. */
function SectionLinks(props: {
  readonly current: string
  readonly onCurrent: (id: string) => void
}): JSX.Element {
  const { current, onCurrent } = props
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) => {
        const entry = entries.find(({ isIntersecting }) => isIntersecting)
        if (entry !== undefined) onCurrent(entry.target.id)
      },
      { rootMargin: '-70px 0px -70% 0px' },
    )
    for (const id of reportSectionIds) {
      const section = document.getElementById(id)
      if (section !== null) observer.observe(section)
    }
    return () => observer.disconnect()
  }, [onCurrent])
  return (
    <nav class="section-links" aria-label="Sections" onFocusIn={showFocused}>
      {reportSectionIds.map((id) => (
        <button
          type="button"
          key={id}
          aria-current={id === current}
          onClick={() => {
            const section = document.getElementById(id)
            section?.scrollIntoView()
            section?.focus({ preventScroll: true })
            change({ section: id }, 'replace')
          }}
        >
          {sectionTitles[id]}
        </button>
      ))}
    </nav>
  )
}
