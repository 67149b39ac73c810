import type { ComponentChildren, JSX, RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { RecordDetails, RecordRow, RowPlace } from '../../api.ts'
import { Command, CopyButton, Failure, Waiting } from '../parts/basics.tsx'
import { levelColor } from '../parts/colors.ts'
import { Icon } from '../parts/icons.tsx'
import { useIsNarrow, useIsOverlaid } from '../shell/theme.ts'
import { change } from '../state/address.ts'
import { instantText, lengthText, lineText, noValue, shownText } from '../state/format.ts'
import { type FilterList, placeParameters, placeText, serverOf } from '../state/record-filter.ts'
import { pathOf, useRequest } from '../state/request.ts'

/**
 * A record whole, with its session before and after it.
 *
 * @param known the record as the list has it, shown until the whole one is there
 * @param hadFocus whether the focus was in the panel of the record before, which it then stays in
 */
export function RecordPanel(props: {
  readonly place: RowPlace
  readonly known: RecordRow | undefined
  readonly hadFocus: RefObject<boolean>
}): JSX.Element {
  const { place, known, hadFocus } = props
  const { data, error, reload } = useRequest<RecordDetails>(pathOf('record', placeParameters(place)))
  const record = data?.record ?? known
  const panel = useRef<HTMLElement>(null)
  const body = useRef<HTMLDivElement>(null)
  const isOverlaid = useIsOverlaid()
  const isNarrow = useIsNarrow()
  useLayoutEffect(() => {
    if (isNarrow || hadFocus.current === true) body.current?.focus()
    return () => {
      hadFocus.current = panel.current?.contains(document.activeElement) === true
    }
  }, [])
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && panel.current?.contains(event.target as Node) === true)
        change({ record: undefined })
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  // Where it lies over the room, it makes way for a control below it that gets the focus.
  useEffect(() => {
    if (!isOverlaid) return
    const onFocus = ({ target }: FocusEvent): void => {
      if (!(target instanceof Element)) return
      // The panel of the next record has the focus before this one has ended.
      const isBeside = target.closest(isNarrow ? '.record-panel' : '.record-panel, .records-card') !== null
      if (!isBeside && target.closest('.room') !== null) change({ record: undefined })
    }
    addEventListener('focusin', onFocus)
    return () => removeEventListener('focusin', onFocus)
  }, [isOverlaid, isNarrow])
  return (
    <aside class="card record-panel" aria-label="Record" ref={panel}>
      <div class="record-panel-head">
        {record !== undefined && (
          <>
            <span class="level" style={{ '--level-color': `var(${levelColor(record.severity)})` }}>
              {shownText(record.severity ?? record.status)}
            </span>
            <span class="number record-panel-time">
              {record.atMs === null ? 'no time' : instantText(record.atMs)}
            </span>
          </>
        )}
        <span class="record-panel-tools">
          <CopyButton text={location.href} label="Copy a link to this record" />
          <button
            type="button"
            class="button plain small square"
            aria-label="Close the record"
            title="Close (Esc)"
            onClick={() => change({ record: undefined })}
          >
            <Icon name="close" />
          </button>
        </span>
      </div>
      <div class="record-panel-body" role="group" aria-label="Contents of the record" tabIndex={0} ref={body}>
        {error !== undefined && <Failure error={error} retry={reload} />}
        {record === undefined ? (
          error === undefined && <Waiting height={300} />
        ) : (
          <Summary record={record} details={data} />
        )}
        {data === undefined ? (
          record !== undefined && error === undefined && <Waiting height={160} />
        ) : (
          <Behind details={data} />
        )}
      </div>
    </aside>
  )
}

function Summary({
  record,
  details,
}: {
  readonly record: RecordRow
  readonly details: RecordDetails | undefined
}): JSX.Element {
  const textOf = (column: string, listed: string | null): string | null => {
    const value = details?.columns[column]
    return typeof value === 'string' ? value : listed
  }
  const texts = [
    ['Detail', textOf('detail', record.detail)],
    ['Hint', textOf('hint', null)],
    ['Context', textOf('context', null)],
    ['Statement', textOf('statement', record.statement)],
  ] as const
  return (
    <>
      <LogText label="Message">{textOf('message', record.message) ?? ''}</LogText>
      {texts.map(([label, text]) =>
        text === null || text === '' ? null : (
          <div key={label}>
            <h3>{label}</h3>
            <LogText label={label}>{text}</LogText>
          </div>
        ),
      )}
      <dl class="facts">
        <Fact label="Event">
          {record.event === null ? noValue : <Narrow list="event" value={record.event} />}
        </Fact>
        <Fact label="Server">
          <Narrow list="server" value={serverOf(record)} />
        </Fact>
        <Fact label="Database">
          {record.database === null ? noValue : <Narrow list="database" value={record.database} />}
        </Fact>
        <Fact label="User">
          {record.user === null ? noValue : <Narrow list="user" value={record.user} />}
        </Fact>
        <Fact label="Application">{shownText(record.application ?? noValue)}</Fact>
        <Fact label="SQLSTATE">
          {record.sqlstate === null ? noValue : <Narrow list="sqlstate" value={record.sqlstate} />}
        </Fact>
        <Fact label="Process">{record.pid ?? noValue}</Fact>
        <Fact label="Took">{record.durationMs === null ? noValue : lengthText(record.durationMs)}</Fact>
        <Fact label="Session">
          {record.session === null ? noValue : <Narrow list="session" value={record.session} />}
        </Fact>
      </dl>
    </>
  )
}

/** A value that narrows the list down to the records that have it, too. */
function Narrow({ list, value }: { readonly list: FilterList; readonly value: string }): JSX.Element {
  if (value === '') return <>{noValue}</>
  return (
    <button
      type="button"
      class="narrow"
      title="Only records with this value"
      onClick={() => change({ [list]: [value] })}
    >
      {shownText(value)}
    </button>
  )
}

function Fact({
  label,
  children,
}: {
  readonly label: string
  readonly children: ComponentChildren
}): JSX.Element {
  return (
    <div>
      <dt>{label}</dt>
      <dd class="number">{children}</dd>
    </div>
  )
}

function LogText({ label, children }: { readonly label: string; readonly children: string }): JSX.Element {
  return (
    <pre class="raw" role="group" aria-label={label} tabIndex={0} dir="ltr">
      {shownText(children)}
    </pre>
  )
}

function Behind({ details }: { readonly details: RecordDetails }): JSX.Element {
  const { record, before, after, columns, replayCommand } = details
  return (
    <>
      <div>
        <h3>Its session</h3>
        {record.session === null ? (
          <p class="soft">The record belongs to no session.</p>
        ) : (
          <ol class="session" aria-label="The session around this record" ref={showShown}>
            {before.map((one) => (
              <SessionLine key={placeText(one)} record={one} start={record} />
            ))}
            <SessionLine record={record} start={record} />
            {after.map((one) => (
              <SessionLine key={placeText(one)} record={one} start={record} />
            ))}
          </ol>
        )}
      </div>
      <details class="behind">
        <summary>All columns</summary>
        <dl class="columns">
          {Object.entries(columns).map(([name, value]) => (
            <div key={name}>
              <dt class="mono">{name}</dt>
              <dd class="mono">
                {value === null ? <span class="faint">NULL</span> : shownText(String(value))}
              </dd>
            </div>
          ))}
        </dl>
      </details>
      <div>
        <h3>Land this line again</h3>
        <Command text={replayCommand} />
      </div>
    </>
  )
}

/** Scrolls a session to the record that is shown, which else may lie below what fits. */
function showShown(list: HTMLElement | null): void {
  const line = list?.querySelector<HTMLElement>('[aria-current=true]')
  if (list === null || line === undefined || line === null) return
  list.scrollTop = line.offsetTop - (list.clientHeight - line.offsetHeight) / 2
}

/** A record of the session, with its time from the one that is shown. */
function SessionLine({
  record,
  start,
}: {
  readonly record: RecordRow
  readonly start: RecordRow
}): JSX.Element {
  const isShown = placeText(record) === placeText(start)
  const { atMs } = record
  const offset = atMs === null || start.atMs === null ? '' : offsetText(atMs - start.atMs)
  return (
    <li style={{ '--level-color': `var(${levelColor(record.severity)})` }}>
      <button
        type="button"
        aria-current={isShown}
        onClick={() => change({ record: placeText(record) })}
        title={atMs === null ? undefined : instantText(atMs)}
      >
        <span class="number faint">{isShown ? 'this' : offset}</span>
        <span class="level">{shownText(record.severity ?? '')}</span>
        <span class="mono session-text" dir="ltr">
          {lineText(record.message ?? record.statement ?? '')}
        </span>
      </button>
    </li>
  )
}

function offsetText(ms: number): string {
  return ms < 0 ? `−${lengthText(-ms)}` : `+${lengthText(ms)}`
}
