import { TailraceError } from '../../errors.ts'
import { hasOffsetsFence, withOffsetsFence } from './protocol/features.ts'
import type { DeltaTable } from './table.ts'

/** Attempts to set the property; each fails when another commit changes the table's metadata. */
const maxAttempts = 10

/**
 * Sets the property that makes release 0.1.0 refuse the table, because that release does not see the offsets of this one.
 * Must be done before the first commit with such offsets.
 *
 * A process of release 0.1.0 that is running fails at its next commit. Its earlier commits come before this one, so their
 * offsets are known here.
 *
 * @returns whether the property was missing
 * @throws COMMIT_CONTENDED when the metadata keeps changing
 */
export async function raiseOffsetsFence(table: DeltaTable): Promise<boolean> {
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const { metaData } = table.state
    if (hasOffsetsFence(metaData)) return attempt > 1
    const configuration = withOffsetsFence(metaData.configuration)
    try {
      await table.commit([], {
        info: {
          operation: 'SET TBLPROPERTIES',
          operationParameters: { properties: JSON.stringify(withOffsetsFence({})) },
          isBlindAppend: false,
        },
        actions: [{ metaData: { ...metaData, configuration } }],
        check: () => {
          table.checkRules()
          if (table.state.metaData !== metaData) throw new MetaDataMoved()
        },
      })
      return true
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

/** Another commit changed the metadata. Caught in this file. */
class MetaDataMoved extends Error {}
