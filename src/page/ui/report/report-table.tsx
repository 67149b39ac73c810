import type { JSX } from 'preact'
import type { ReportSectionId, ReportTable, ReportUnit } from '../../api-report.ts'
import { DataTable, type TableColumn } from '../parts/data-table.tsx'
import { change, hrefOf } from '../state/address.ts'
import { lineText, reportValueText, shownText } from '../state/format.ts'
import { exploreParameters, type TimeRange } from '../state/record-filter.ts'

type Row = ReportTable['rows'][number]

const textUnits: readonly ReportUnit[] = ['text', 'sql', 'instant']

/** A table of the report: its rows lead to the records behind them. */
export function ReportTableView({
  section,
  table,
  range,
}: {
  readonly section: ReportSectionId
  readonly table: ReportTable
  readonly range: TimeRange
}): JSX.Element {
  const hasRecords = table.rows.some(({ records }) => records !== undefined)
  const columns = table.columns.map(({ id, label, unit }, index) =>
    reportColumn(table, id, label, unit, index),
  )
  return (
    <div class="report-table">
      <h3>{table.title}</h3>
      <DataTable
        label={table.title}
        columns={hasRecords ? [...columns, recordsColumn(section, range)] : columns}
        rows={table.rows}
        keyOf={(_, index) => String(index)}
        maxRows={10}
      />
      {table.isCut && (
        <p class="report-nothing faint">There are more rows than these. Ask for all of them in SQL.</p>
      )}
    </div>
  )
}

function reportColumn(
  table: ReportTable,
  id: string,
  label: string,
  unit: ReportUnit,
  index: number,
): TableColumn<Row> {
  const isText = textUnits.includes(unit)
  const readValue = ({ cells }: Row): string | number | null => cells[index] ?? null
  const isOrder = index === orderColumn(table)
  const largest = isOrder ? Number(table.rows[0]?.cells[index] ?? 0) : 0
  return {
    id,
    label,
    align: isText ? 'left' : 'right',
    sortKey: readValue,
    cell: (row) => <Cell value={readValue(row)} unit={unit} />,
    share: largest > 0 ? (row) => Math.max(0, Number(readValue(row) ?? 0)) / largest : undefined,
  }
}

/** @returns the column of numbers by which the rows are ordered, from the largest down; a bar is behind its cells */
function orderColumn({ columns, rows }: ReportTable): number | undefined {
  if (rows.length < 2) return undefined
  const index = columns.findIndex(
    ({ unit }, place) =>
      !textUnits.includes(unit) &&
      rows.every(
        ({ cells }, row) => Number(cells[place] ?? 0) <= Number(rows[row - 1]?.cells[place] ?? Infinity),
      ) &&
      Number(rows[0]?.cells[place] ?? 0) > Number(rows.at(-1)?.cells[place] ?? 0),
  )
  return index < 0 ? undefined : index
}

function Cell({
  value,
  unit,
}: {
  readonly value: string | number | null
  readonly unit: ReportUnit
}): JSX.Element {
  if (unit !== 'sql' || typeof value !== 'string')
    return <span class={unit === 'instant' ? 'number nowrap' : ''}>{reportValueText(value, unit)}</span>
  return (
    <code class="sql-cell" title={shownText(value.slice(0, 4_000))} dir="ltr">
      {lineText(value)}
    </code>
  )
}

function recordsColumn(section: ReportSectionId, range: TimeRange): TableColumn<Row> {
  return {
    id: 'records',
    label: 'In Explore',
    cell: ({ records }) =>
      records === undefined ? null : (
        <a
          class="nowrap"
          href={hrefOf('explore', exploreParameters(records, range))}
          // The back button leads to this section again.
          onClick={() => change({ section }, 'replace')}
        >
          Show
        </a>
      ),
  }
}
