import { TailraceError } from '../../../errors.ts'
import type { MetaDataAction } from './actions.ts'
import { intervalMs } from './interval.ts'

/** Delta's default for `delta.deletedFileRetentionDuration`. */
export const defaultFileRetentionMs = 168 * 3_600_000

/**
 * @returns the age at which a vacuum may delete a file of the table that no version needs, in milliseconds
 * @throws TABLE_UNSUPPORTED when the table's property is not an interval
 */
export function fileRetentionMs({ configuration = {} }: MetaDataAction): number {
  const property = configuration['delta.deletedFileRetentionDuration']
  const retentionMs = property === undefined ? defaultFileRetentionMs : intervalMs(property)
  if (retentionMs !== undefined && retentionMs >= 0) return retentionMs
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `The table's property delta.deletedFileRetentionDuration cannot be read: found ${property}, expected an interval of weeks, days, hours or smaller units.`,
  )
}
