import { TailraceError } from '../../../errors.ts'
import type { RetainedDays } from '../../landed-rows.ts'
import type { MetaDataAction } from './actions.ts'
import { schemaFields } from './schema.ts'

/**
 * The table property that says from which UTC day on rows are kept, as `2026-08-31`. Rows of earlier days were deleted on
 * purpose, so their absence is no loss, and a replay must not bring them back.
 */
const retainedFromProperty = 'tailrace.retainedFrom'

/** @returns undefined when no day was deleted */
export function retainedDays(metaData: MetaDataAction): RetainedDays | undefined {
  const firstDay = metaData.configuration?.[retainedFromProperty]
  if (firstDay === undefined || !/^\d{4}-\d\d-\d\d$/.test(firstDay)) return undefined
  return { column: dayColumn(metaData), firstDay }
}

/** @returns the table's metadata with a new first day; it never moves back, because deleted rows do not return */
export function withRetainedFrom(metaData: MetaDataAction, day: string): MetaDataAction {
  const firstDay = laterFirstDay(metaData, day)
  return { ...metaData, configuration: { ...metaData.configuration, [retainedFromProperty]: firstDay } }
}

/** @returns the day, or the table's first day if that is later */
export function laterFirstDay(metaData: MetaDataAction, day: string): string {
  const before = retainedDays(metaData)?.firstDay ?? day
  return before > day ? before : day
}

/**
 * @returns the partition column that holds a row's day
 * @throws TABLE_UNSUPPORTED when none of the partition columns is a date
 */
export function dayColumn(metaData: MetaDataAction): string {
  const dates = schemaFields(metaData).filter(
    ({ name, type }) => type === 'date' && metaData.partitionColumns.includes(name),
  )
  const column = dates.find(({ name }) => name === 'event_date') ?? dates[0]
  if (column !== undefined) return column.name
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `Days cannot be deleted as whole partitions: found ${metaData.partitionColumns.length === 0 ? 'no partition columns' : `the partition columns ${metaData.partitionColumns.join(', ')}`}, expected one of the type date.`,
  )
}
