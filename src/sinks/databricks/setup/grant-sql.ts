import { quoteName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'

/** Kinds of objects in Unity Catalog that rights are granted on. */
export type SecurableKind = 'CATALOG' | 'SCHEMA' | 'TABLE' | 'VOLUME'

/** A privilege on an object: https://docs.databricks.com/data-governance/unity-catalog/access-control/privileges-reference */
export interface Right {
  readonly privilege: string
  readonly kind: SecurableKind
  /** The parts of the object's name. */
  readonly on: readonly string[]
}

/** @returns the rights to use a schema, which those on its objects need beside them */
export function rightsToUse(catalog: string, schema: string): readonly Right[] {
  return [
    { privilege: 'USE CATALOG', kind: 'CATALOG', on: [catalog] },
    { privilege: 'USE SCHEMA', kind: 'SCHEMA', on: [catalog, schema] },
  ]
}

/** @returns the rights to read and write a table */
export function rightsOnTable(table: TableName): readonly Right[] {
  return ['SELECT', 'MODIFY'].map((privilege) => ({ privilege, kind: 'TABLE', on: Object.values(table) }))
}

/** Formats the statements that grant rights, one for each object. */
export function grantSql(rights: readonly Right[], principal: string): readonly string[] {
  const byObject = new Map<string, string[]>()
  for (const { privilege, kind, on } of rights) {
    const object = `${kind} ${on.map(quoteName).join('.')}`
    const privileges = byObject.get(object) ?? []
    if (!privileges.includes(privilege)) byObject.set(object, [...privileges, privilege])
  }
  return [...byObject].map(
    ([object, privileges]) => `GRANT ${privileges.join(', ')} ON ${object} TO ${quoteName(principal)};`,
  )
}
