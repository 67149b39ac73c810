import { TailraceError } from '../../../errors.ts'
import { qualifiedName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'

/** A version of a table that may have removed rows. */
export interface RemovalVersion {
  readonly version: number
  readonly operation: string
  readonly userName: string
}

export interface TableHistoryFindings {
  /** The newest version; undefined when the history is empty. */
  readonly version: number | undefined
  /** Whether the history is whole, and no version has written rows. */
  readonly isUntouched: boolean
  /** Versions after the pinned one that may have removed rows, by somebody else than the principal; oldest first. */
  readonly removals: readonly RemovalVersion[]
}

/** Versions that one statement reads. */
const maxVersions = 1_000

/** Operations that change no rows. */
const harmless =
  /^(?:CREATE TABLE(?! AS)|ADD COLUMNS|CHANGE COLUMN|SET TBLPROPERTIES|UNSET TBLPROPERTIES|UPGRADE PROTOCOL|CLUSTER BY|ADD CONSTRAINT|DROP CONSTRAINT|UPDATE SCHEMA|VACUUM START|VACUUM END|OPTIMIZE|COMPUTE STATS)/

/** Operations that put the table into an earlier or a new state, whoever did it. */
const resetting = /^(?:RESTORE|TRUNCATE|REPLACE TABLE|CREATE OR REPLACE)/

/** Operations that may remove rows. */
const removing = /^(?:DELETE|UPDATE|MERGE|WRITE)/

/**
 * Reads who may have removed rows of a table since a version.
 *
 * https://docs.databricks.com/sql/language-manual/delta-describe-history (read 2026-11-29)
 *
 * @param since the newest version that a run has seen; undefined reports nothing
 */
export async function readTableHistory(
  warehouse: Warehouse,
  name: TableName,
  since: number | undefined,
): Promise<TableHistoryFindings> {
  const rows = await warehouse.execute({
    label: 'read the history of the table',
    sql: `DESCRIBE HISTORY ${qualifiedName(name)} LIMIT ${maxVersions}`,
    repeatable: true,
  })
  const [self] = await warehouse.execute({
    label: 'read the name of the principal',
    sql: 'SELECT current_user() AS name',
    repeatable: true,
  })
  const versions = rows.map((row): RemovalVersion & { readonly isOwn: boolean } => ({
    version: Number(row.version),
    operation: String(row.operation),
    userName: String(row.userName ?? ''),
    isOwn: row.userName === self?.name,
  }))
  return {
    version: versions[0]?.version,
    // A table forgets versions after a month, and keeps the newest ones.
    isUntouched:
      versions.at(-1)?.version === 0 && versions.every(({ operation }) => harmless.test(operation)),
    removals: versions
      .filter(({ version, operation, isOwn }) => {
        const removes = resetting.test(operation) || (!isOwn && removing.test(operation))
        return since !== undefined && version > since && removes
      })
      .map(({ version, operation, userName }) => ({ version, operation, userName }))
      .reverse(),
  }
}

/** @throws TABLE_MISSING when a table of the same name has taken the place of the one that blobs were landed in */
export function requireSameTable(
  name: TableName,
  pinnedId: string | undefined,
  id: string | undefined,
): void {
  if (pinnedId === undefined || id === undefined || pinnedId === id) return
  throw new TailraceError(
    'TABLE_MISSING',
    `The table ${qualifiedName(name)} was dropped and created again: found id ${id}, expected ${pinnedId}. The rows that were landed before are not in it.`,
  )
}
