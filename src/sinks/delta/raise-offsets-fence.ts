import { TailraceError } from '../../errors.ts'
import { hasOffsetsFence, withOffsetsFence } from './protocol/features.ts'
import type { DeltaTable } from './table.ts'

/** How often the property is set again because another commit changed the table's metadata meanwhile. */
const maxAttempts = 10

/**
 * Keeps former releases away from a table, from before the first offset that they would not see.
 *
 * A process of a former release that runs at this moment ends at its next commit, which comes after this one: what it
 * committed before is known here by then.
 *
 * @returns whether it had to be done
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
  throw new TailraceError('COMMIT_CONTENDED', "Other commits kept changing the table's metadata.", {
    context: { attempts: maxAttempts },
  })
}

/** Another commit changed the metadata: never leaves this file. */
class MetaDataMoved extends Error {}
