import type { ColumnType } from './table.ts'

/** The embedded engine's name of each column type. */
export const engineTypes: Readonly<Record<ColumnType, string>> = {
  string: 'VARCHAR',
  long: 'BIGINT',
  integer: 'INTEGER',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
}
