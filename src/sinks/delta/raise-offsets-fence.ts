import { TailraceError } from '../../errors.ts'
import type { MetaDataAction } from './protocol/actions.ts'
import {
  hasArchiveFormat,
  hasOffsetsFence,
  withArchiveFormat,
  withOffsetsFence,
} from './protocol/features.ts'
import type { DeltaTable } from './table.ts'

/** Attempts to set the property; each fails when another commit changes the table's metadata. */
const maxAttempts = 10

/**
 * Sets the properties that make earlier releases refuse the table: 0.1.0, because it does not see the offsets of this
 * release, and those that do not see an offset archive, if the table has one. The commit of the first archive sets that
 * property too, and another engine's RESTORE may bring the former properties back. Must be done before the first commit with
 * offsets.
 *
 * A process of release 0.1.0 that is running fails at its next commit. Its earlier commits come before this one, so their
 * offsets are known here.
 *
 * @returns whether the property for 0.1.0 was missing
 * @throws COMMIT_CONTENDED when the metadata keeps changing
 */
export async function raiseOffsetsFence(table: DeltaTable): Promise<boolean> {
  let wasMissing = false
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const { metaData, transactions } = table.state
    const raise = raising(metaData, transactions.archivedAtMs !== undefined)
    if (raise === undefined) return wasMissing
    wasMissing ||= !hasOffsetsFence(metaData)
    try {
      await table.commit([], {
        info: {
          operation: 'SET TBLPROPERTIES',
          operationParameters: { properties: JSON.stringify(raise({})) },
          isBlindAppend: false,
        },
        actions: [{ metaData: { ...metaData, configuration: raise(metaData.configuration) } }],
        check: () => {
          table.checkRules()
          if (table.state.metaData !== metaData) throw new MetaDataMoved()
        },
      })
      return wasMissing
    } catch (error) {
      if (!(error instanceof MetaDataMoved)) throw error
    }
  }
  throw new TailraceError(
    'COMMIT_CONTENDED',
    `The table could not be prepared: other commits changed its metadata during all ${maxAttempts} attempts.`,
    { context: { attempts: maxAttempts } },
  )
}

type Raise = (configuration: MetaDataAction['configuration']) => Record<string, string>

/** @returns what adds the missing properties; undefined when there are none */
function raising(metaData: MetaDataAction, hasArchive: boolean): Raise | undefined {
  const isOld = hasArchive && !hasArchiveFormat(metaData)
  if (!hasOffsetsFence(metaData)) {
    return (configuration) => withOffsetsFence(isOld ? withArchiveFormat(configuration) : configuration)
  }
  return isOld ? withArchiveFormat : undefined
}

/** Another commit changed the metadata. Caught in this file. */
class MetaDataMoved extends Error {}
