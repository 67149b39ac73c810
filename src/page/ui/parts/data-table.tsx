import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { countText } from '../state/format.ts'
import { showFocused } from './basics.tsx'

export interface TableColumn<Row> {
  readonly id: string
  readonly label: string
  readonly align?: 'left' | 'right' | undefined
  readonly cell: (row: Row) => ComponentChildren
  /** What it is sorted by; without it the column cannot be sorted. */
  readonly sortKey?: ((row: Row) => string | number | null) | undefined
  /** From 0 to 1: how long the bar behind the cell is. */
  readonly share?: ((row: Row) => number) | undefined
}

interface Order {
  readonly id: string
  readonly isDescending: boolean
}

/** A table whose columns sort it; the first rows are shown until all are wanted. */
export function DataTable<Row>(props: {
  readonly label: string
  readonly columns: readonly TableColumn<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row, index: number) => string
  /** Default 20. */
  readonly maxRows?: number
}): JSX.Element {
  const { label, columns, rows, keyOf, maxRows = 20 } = props
  const [order, setOrder] = useState<Order | undefined>(undefined)
  const [isWhole, setWhole] = useState(false)
  const sorted = order === undefined ? rows : sortedRows(rows, columns, order)
  const shown = isWhole ? sorted : sorted.slice(0, maxRows)
  return (
    <>
      <div class="table-frame" role="group" aria-label={label} tabIndex={0} onFocusIn={showFocused}>
        <table class="rows">
          <thead>
            <tr>
              {columns.map((column) => (
                <Heading key={column.id} column={column} order={order} setOrder={setOrder} />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, index) => (
              <tr key={keyOf(row, index)}>
                {columns.map(({ id, align, cell, share }) => {
                  const part = share?.(row) ?? 0
                  const classes = `${align === 'right' ? 'right' : ''} ${part > 0 ? 'share' : ''}`
                  return (
                    <td
                      key={id}
                      class={classes}
                      style={part > 0 ? { '--share': part.toFixed(4) } : undefined}
                    >
                      {cell(row)}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > maxRows && (
        <div class="table-more">
          <button type="button" class="button plain small" onClick={() => setWhole(!isWhole)}>
            {isWhole ? `Show the first ${maxRows}` : `Show all ${countText(sorted.length)}`}
          </button>
        </div>
      )}
    </>
  )
}

function Heading<Row>(props: {
  readonly column: TableColumn<Row>
  readonly order: Order | undefined
  readonly setOrder: (order: Order) => void
}): JSX.Element {
  const { column, order, setOrder } = props
  const own = order?.id === column.id ? order : undefined
  const align = column.align === 'right' ? 'right' : undefined
  if (column.sortKey === undefined)
    return (
      <th scope="col" class={align}>
        {column.label}
      </th>
    )
  return (
    <th
      scope="col"
      class={align}
      aria-sort={own === undefined ? undefined : own.isDescending ? 'descending' : 'ascending'}
    >
      <button
        type="button"
        onClick={() =>
          setOrder({ id: column.id, isDescending: own === undefined ? align === 'right' : !own.isDescending })
        }
      >
        {column.label}
        <span aria-hidden="true">{own === undefined ? '' : own.isDescending ? ' ↓' : ' ↑'}</span>
      </button>
    </th>
  )
}

function sortedRows<Row>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
  { id, isDescending }: Order,
): readonly Row[] {
  const keyOf = columns.find((column) => column.id === id)?.sortKey
  if (keyOf === undefined) return rows
  const sign = isDescending ? -1 : 1
  return rows.toSorted((left, right) => {
    const a = keyOf(left)
    const b = keyOf(right)
    // Unknown values come last in either direction.
    if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0)
    return (
      sign * (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b)))
    )
  })
}
