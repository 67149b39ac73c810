import type { JSX } from 'preact'
import { instantText, noValue } from '../state/format.ts'
import { DataTable, type TableColumn } from './data-table.tsx'

interface BucketRow {
  readonly atMs: number
  readonly values: readonly (number | null)[]
}

/** The values of a chart over time as a table, without the buckets in which nothing was. */
export function BucketTable(props: {
  readonly label: string
  readonly fromMs: number
  readonly bucketMs: number
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[]
  readonly valueText: (value: number) => string
}): JSX.Element {
  const { label, fromMs, bucketMs, series, valueText } = props
  const rows = Array.from({ length: series[0]?.values.length ?? 0 }, (_, index) => ({
    atMs: fromMs + index * bucketMs,
    values: series.map(({ values }) => values[index] ?? null),
  })).filter(({ values }) => values.some((value) => value !== null && value !== 0))
  const columns: readonly TableColumn<BucketRow>[] = [
    {
      id: 'at',
      label: 'From',
      sortKey: ({ atMs }) => atMs,
      cell: ({ atMs }) => <span class="number">{instantText(atMs)}</span>,
    },
    ...series.map(
      ({ name }, index): TableColumn<BucketRow> => ({
        id: `${index}`,
        label: name,
        align: 'right',
        sortKey: ({ values }) => values[index] ?? null,
        cell: ({ values }) => {
          const value = values[index] ?? null
          return value === null ? noValue : valueText(value)
        },
      }),
    ),
  ]
  return <DataTable label={label} columns={columns} rows={rows} keyOf={({ atMs }) => String(atMs)} />
}
