import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RecordRow } from '../../api.ts'
import { levelColor } from '../parts/colors.ts'
import { useIsNarrow } from '../shell/theme.ts'
import { change } from '../state/address.ts'
import { countText, lineText, noValue, shownText, timeText } from '../state/format.ts'
import { placeText, serverOf } from '../state/record-filter.ts'

/** All rows are of one height, so that only those in view exist, however many there are. As in explore.css. */
const wideRowPixels = 28
const narrowRowPixels = 52
const moreRows = 12

/** Records one below the other, newest first. */
export function RecordList(props: {
  readonly records: readonly RecordRow[]
  /** How many records were added by following. */
  readonly newCount: number
  /** How many of them are still among the first ones. */
  readonly newRows: number
  /** What was asked for. Another query begins at the top. */
  readonly query: string
  readonly hasMore: boolean
  readonly isLoading: boolean
  readonly isReady: boolean
  /** The search for more waits for the reader. */
  readonly isPaused: boolean
  readonly loadMore: () => void
  readonly rangeMs: number
  readonly word: string
  readonly opened: string | undefined
}): JSX.Element {
  const { records, newCount, newRows, query, hasMore, isLoading, isReady, isPaused, loadMore } = props
  const { rangeMs, word, opened } = props
  const frame = useRef<HTMLDivElement>(null)
  const rowPixels = useIsNarrow() ? narrowRowPixels : wideRowPixels
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(600)
  const [cursor, setCursor] = useState(0)
  const [unseen, setUnseen] = useState(0)
  const lastNew = useRef(newCount)

  useEffect(() => {
    const element = frame.current
    if (element === null) return
    const observer = new ResizeObserver(() => setHeight(element.clientHeight))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    if (frame.current !== null) frame.current.scrollTop = 0
    setCursor(0)
    setUnseen(0)
  }, [query])

  // What is being read stays where it is while new records come above it.
  useEffect(() => {
    const added = newCount - lastNew.current
    lastNew.current = newCount
    const element = frame.current
    if (added <= 0 || element === null || element.scrollTop === 0) return
    element.scrollTop += added * rowPixels
    setCursor((at) => at + added)
    setUnseen((count) => count + added)
  }, [newCount, rowPixels])

  const first = Math.max(0, Math.floor(top / rowPixels) - moreRows)
  const end = Math.min(records.length, Math.ceil((top + height) / rowPixels) + moreRows)
  useEffect(() => {
    if (hasMore && !isLoading && end >= records.length - moreRows) loadMore()
  }, [hasMore, isLoading, end, records.length, loadMore])

  const open = (record: RecordRow | undefined): void => {
    if (record !== undefined) change({ record: placeText(record) })
  }
  const moveTo = (index: number): void => {
    const next = Math.min(records.length - 1, Math.max(0, index))
    setCursor(next)
    const element = frame.current
    if (element === null) return
    const rowTop = next * rowPixels
    if (rowTop < element.scrollTop) element.scrollTop = rowTop
    else if (rowTop + rowPixels > element.scrollTop + element.clientHeight)
      element.scrollTop = rowTop + rowPixels - element.clientHeight
    // While a record is open, the keys go through the records.
    const record = records[next]
    if (opened !== undefined && record !== undefined) change({ record: placeText(record) }, 'replace')
  }
  const onKey = (event: KeyboardEvent): void => {
    const pageRows = Math.max(1, Math.floor(height / rowPixels) - 1)
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      j: 1,
      k: -1,
      PageDown: pageRows,
      PageUp: -pageRows,
      Home: -records.length,
      End: records.length,
    }
    const step = steps[event.key]
    if (event.key === 'Enter') open(records[cursor])
    else if (event.key === 'Escape' && opened !== undefined) change({ record: undefined })
    else if (step !== undefined) moveTo(cursor + step)
    else return
    event.preventDefault()
  }
  return (
    <div class="records-frame">
      {unseen > 0 && (
        <button
          type="button"
          class="button main small records-new"
          onClick={() => {
            if (frame.current !== null) frame.current.scrollTop = 0
          }}
        >
          {countText(unseen)} new above
        </button>
      )}
      <div
        class={`records ${isLoading ? 'progress' : ''}`}
        role="grid"
        aria-label="Records, newest first"
        aria-rowcount={hasMore ? -1 : records.length}
        aria-busy={isLoading}
        aria-activedescendant={cursor >= first && cursor < end ? `record-${cursor}` : undefined}
        tabIndex={0}
        ref={frame}
        onKeyDown={onKey}
        onScroll={({ currentTarget: { scrollTop } }) => {
          setTop(scrollTop)
          if (scrollTop === 0) setUnseen(0)
        }}
      >
        <div class="records-space" role="rowgroup" style={{ height: `${records.length * rowPixels}px` }}>
          {records.slice(first, end).map((record, offset) => {
            const index = first + offset
            return (
              <Row
                key={placeText(record)}
                record={record}
                index={index}
                top={index * rowPixels}
                isAtCursor={index === cursor}
                isOpened={opened === placeText(record)}
                isNew={index < newRows}
                rangeMs={rangeMs}
                word={word}
                onOpen={() => {
                  setCursor(index)
                  open(record)
                }}
              />
            )
          })}
        </div>
        {(!isReady || (records.length === 0 && hasMore && !isPaused)) && <Skeleton />}
      </div>
    </div>
  )
}

function Row(props: {
  readonly record: RecordRow
  readonly index: number
  /** In pixels. */
  readonly top: number
  readonly isAtCursor: boolean
  readonly isOpened: boolean
  readonly isNew: boolean
  readonly rangeMs: number
  readonly word: string
  readonly onOpen: () => void
}): JSX.Element {
  const { record, index, top, isAtCursor, isOpened, isNew, rangeMs, word, onOpen } = props
  const { atMs, severity, database, user } = record
  const level = record.status === 'rejected' ? 'rejected' : (severity ?? noValue)
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the focus, and opens the row at its cursor with Enter.
    <div
      class={`record ${isAtCursor ? 'at-cursor' : ''} ${isNew ? 'is-new' : ''}`}
      role="row"
      id={`record-${index}`}
      aria-rowindex={index + 1}
      aria-selected={isOpened}
      style={{ top: `${top}px`, '--level-color': `var(${levelColor(severity)})` }}
      onClick={onOpen}
    >
      <span role="gridcell" class="record-time number">
        {atMs === null ? 'no time' : timeText(atMs, rangeMs)}
      </span>
      <span role="gridcell" class="level">
        {shownText(level)}
      </span>
      <span role="gridcell" class="record-server">
        {shownText(serverOf(record))}
      </span>
      <span role="gridcell" class="record-who">
        {shownText([database, user].filter((one) => one !== null).join('/'))}
      </span>
      <span role="gridcell" class="record-message mono" dir="ltr">
        <Marked text={lineText(record.message ?? record.statement ?? '')} word={word} />
      </span>
    </div>
  )
}

/** A text with the searched word marked. */
function Marked({ text, word }: { readonly text: string; readonly word: string }): JSX.Element {
  const searched = word.trim().toLowerCase()
  const at = searched === '' ? -1 : text.toLowerCase().indexOf(searched)
  if (at < 0) return <>{text}</>
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + searched.length)}</mark>
      {text.slice(at + searched.length)}
    </>
  )
}

function Skeleton(): JSX.Element {
  return (
    <div class="records-waiting" aria-hidden="true">
      {Array.from({ length: 14 }, (_, index) => (
        <span key={index} class="waiting" style={{ width: `${92 - ((index * 37) % 40)}%` }} />
      ))}
    </div>
  )
}
