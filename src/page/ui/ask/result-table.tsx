import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { SqlResult } from '../../api.ts'
import { CopyButton, Window } from '../parts/basics.tsx'
import { noValue, shownText } from '../state/format.ts'
import { cellText, isNumeric, valueText } from './result-values.ts'

const rowPixels = 29
const moreRows = 15
/** Rows whose texts decide how wide a column is. */
const measuredRows = 200
const maxColumnCharacters = 64

/** The rows of a result: only those in view exist, however many there are. */
export function ResultTable({ result }: { readonly result: SqlResult }): JSX.Element {
  const { columns, rows } = result
  const frame = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(500)
  const [opened, setOpened] = useState<number | undefined>(undefined)
  const widths = useMemo(() => columnCharacters(result), [result])
  useEffect(() => {
    const element = frame.current
    if (element === null) return
    element.scrollTop = 0
    const observer = new ResizeObserver(() => setHeight(element.clientHeight))
    observer.observe(element)
    return () => observer.disconnect()
  }, [result])
  const first = Math.max(0, Math.floor(top / rowPixels) - moreRows)
  const end = Math.min(rows.length, Math.ceil((top + height) / rowPixels) + moreRows)
  const openedRow = opened === undefined ? undefined : rows[opened]
  return (
    <>
      <div
        class="result-frame"
        role="group"
        ref={frame}
        aria-label="Rows of the result"
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop } }) => setTop(scrollTop)}
      >
        <table class="rows result" aria-rowcount={rows.length + 1}>
          <colgroup>
            <col class="result-number" />
            {columns.map(({ name }, index) => (
              <col key={`${index} ${name}`} style={{ width: `calc(${widths[index]}ch + 26px)` }} />
            ))}
          </colgroup>
          <thead>
            <tr aria-rowindex={1}>
              <th scope="col" class="right">
                <span class="aside-text">Row</span>
              </th>
              {columns.map((column, index) => (
                <th
                  scope="col"
                  key={`${index} ${column.name}`}
                  class={isNumeric(column) ? 'right' : ''}
                  title={`${column.name}: ${column.type}`}
                >
                  {shownText(column.name)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {first > 0 && (
              <tr aria-hidden="true" style={{ height: `${first * rowPixels}px` }}>
                <td colSpan={columns.length + 1} />
              </tr>
            )}
            {rows.slice(first, end).map((row, offset) => {
              const index = first + offset
              return (
                <tr key={index} aria-rowindex={index + 2}>
                  <td class="right">
                    <button
                      type="button"
                      class="row-number"
                      aria-label={`Row ${index + 1} whole`}
                      onClick={() => setOpened(index)}
                    >
                      {index + 1}
                    </button>
                  </td>
                  {columns.map((column, place) => {
                    const value = row[place]
                    return (
                      <td key={`${place} ${column.name}`} class={isNumeric(column) ? 'right' : ''} dir="ltr">
                        {value === null || value === undefined ? (
                          <span class="faint">NULL</span>
                        ) : (
                          cellText(value, column)
                        )}
                      </td>
                    )
                  })}
                </tr>
              )
            })}
            {end < rows.length && (
              <tr aria-hidden="true" style={{ height: `${(rows.length - end) * rowPixels}px` }}>
                <td colSpan={columns.length + 1} />
              </tr>
            )}
          </tbody>
        </table>
      </div>
      {openedRow !== undefined && opened !== undefined && (
        <Window title={`Row ${opened + 1}`} onClose={() => setOpened(undefined)}>
          <dl class="columns">
            {columns.map(({ name }, index) => {
              const text = valueText(openedRow[index])
              return (
                <div key={`${index} ${name}`}>
                  <dt class="mono">{shownText(name)}</dt>
                  <dd class="mono row-value">
                    {text === noValue ? (
                      <span class="faint">NULL</span>
                    ) : (
                      <>
                        {text} <CopyButton text={text} label={`Copy ${name}`} />
                      </>
                    )}
                  </dd>
                </div>
              )
            })}
          </dl>
        </Window>
      )}
    </>
  )
}

function columnCharacters({ columns, rows }: SqlResult): readonly number[] {
  return columns.map((column, index) => {
    const longest = rows.slice(0, measuredRows).reduce((max, row) => {
      const value = row[index]
      return Math.max(max, value === null || value === undefined ? 4 : cellText(value, column).length)
    }, column.name.length)
    return Math.min(maxColumnCharacters, Math.max(4, longest))
  })
}
