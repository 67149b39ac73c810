import { HttpRefusal } from './refusals.ts'
import {
  SqlFailure,
  type StatementContext,
  type StatementResult,
  type WarehouseEngine,
} from './warehouse-engine.ts'

/** A privilege as a refusal names it, such as `MODIFY on Table 'a.b.c'`. */
interface Need {
  readonly privilege: string
  readonly kind: 'Catalog' | 'Schema' | 'Table' | 'Volume'
  readonly name: string
}

/**
 * The rights of the one principal of a workspace: it has every right but the denied ones. Refusals have Databricks' class,
 * SQLSTATE and wording (INSUFFICIENT_PERMISSIONS, as quoted in mosaicml/llm-foundry#1522).
 */
export class AccessControl {
  /** Such as `USE SCHEMA on Schema 'lake.logs'`, or `CAN USE`. */
  readonly #denied = new Set<string>()
  /** Tables that the principal has made: an owner needs no grant. */
  readonly #owned = new Set<string>()
  #hidesTables = false

  /** @param rights such as `MODIFY on Table 'a.b.c'`, or `CAN USE` on the warehouse */
  deny(...rights: readonly string[]): void {
    for (const right of rights) this.#denied.add(right)
  }

  /** Gives the tables that the principal has made to somebody else. */
  disown(): void {
    this.#owned.clear()
  }

  /** Leaves the tables out of `information_schema.tables`, as for a principal without any right on them. */
  hideTables(): void {
    this.#hidesTables = true
  }

  /** Gives a right back, by the statement or the command that grants it. @returns whether one was missing */
  run(grant: string): boolean {
    if (grant.startsWith('databricks permissions update warehouses')) return this.#denied.delete('CAN USE')
    const [, privileges = '', kind = '', name = ''] =
      /^GRANT ([A-Z ,]+) ON ([A-Z]+) (.+) TO `[^`]+`;$/.exec(grant) ?? []
    const noun = kind.charAt(0) + kind.slice(1).toLowerCase()
    const given = privileges.split(', ').map((privilege) => `${privilege} on ${noun} '${plain(name)}'`)
    return given.filter((right) => this.#denied.delete(right)).length > 0
  }

  /** @throws HttpRefusal for any request to the warehouse without CAN USE */
  requireWarehouse(): void {
    if (!this.#denied.has('CAN USE')) return
    throw new HttpRefusal(403, 'PERMISSION_DENIED', 'You do not have permission to use the SQL Warehouse.')
  }

  /** @throws HttpRefusal for a request of the Files API */
  requireFiles(method: string | undefined, path: string): void {
    const volume = /\/Volumes\/([^/]+\/[^/]+\/[^/]+)/.exec(path)?.[1]?.replaceAll('/', '.')
    if (volume === undefined) return
    const privilege = method === 'GET' || method === 'HEAD' ? 'READ VOLUME' : 'WRITE VOLUME'
    const lacking = this.#lacking({ privilege, kind: 'Volume', name: volume.toLowerCase() })
    if (lacking !== undefined) throw new HttpRefusal(403, 'PERMISSION_DENIED', `${textOf(lacking)}.`)
  }

  /** Whether the principal has a right on a table, and those on its catalog and schema. */
  mayTable(privilege: string, table: string): boolean {
    return this.#lacking({ privilege, kind: 'Table', name: table }) === undefined
  }

  /** @returns an engine that refuses statements for which a right is missing */
  guard(engine: WarehouseEngine): WarehouseEngine {
    return {
      execute: async (text: string, context: StatementContext): Promise<StatementResult> => {
        for (const need of needsOf(text)) {
          const lacking = this.#lacking(need)
          if (lacking !== undefined) throw insufficient(lacking)
        }
        // The same columns, and no row.
        const isHidden = this.#hidesTables && / FROM \S+information_schema\.tables WHERE /.test(text)
        const result = await engine.execute(isHidden ? `${text} AND 1 = 0` : text, context)
        const made = new RegExp(
          `^CREATE (?:TABLE (?:IF NOT EXISTS )?|(?:OR REPLACE )?VIEW )${tableName}`,
        ).exec(text)?.[1]
        if (made !== undefined) this.#owned.add(plain(made))
        return result
      },
    }
  }

  /** The first right that is missing: on the catalog, then on the schema, then on the object itself. */
  #lacking(need: Need): Need | undefined {
    if (need.kind === 'Table' && this.#owned.has(need.name)) return undefined
    const [catalog = '', schema] = need.name.split('.')
    const needs: Need[] = [
      { privilege: 'USE CATALOG', kind: 'Catalog', name: catalog },
      ...(schema === undefined || schema === 'information_schema'
        ? []
        : [{ privilege: 'USE SCHEMA', kind: 'Schema', name: `${catalog}.${schema}` } as const]),
      need,
    ]
    return needs.find((one) => this.#denied.has(textOf(one, '')))
  }
}

const tableName = '((?:`(?:[^`]|``)+`|\\w+)(?:\\.(?:`(?:[^`]|``)+`|\\w+)){2})'

/** The rights for a statement: of each table that it names, of volumes, of schemas. */
function needsOf(text: string): readonly Need[] {
  const needs: Need[] = []
  const add = (privilege: string, kind: Need['kind'], name: string): void => {
    needs.push({ privilege, kind, name })
  }
  const each = (pattern: string, use: (name: string) => void): void => {
    for (const [, name = ''] of text.matchAll(new RegExp(pattern, 'g'))) use(plain(name))
  }
  each(`CREATE TABLE (?:IF NOT EXISTS )?${tableName}`, (name) =>
    add('CREATE TABLE', 'Schema', name.split('.').slice(0, 2).join('.')),
  )
  // A view needs the right of a table, and who replaces one has to manage it.
  each(`CREATE (?:OR REPLACE )?VIEW ${tableName}`, (name) =>
    add('CREATE TABLE', 'Schema', name.split('.').slice(0, 2).join('.')),
  )
  each(`CREATE OR REPLACE VIEW ${tableName}`, (name) => add('MANAGE', 'Table', name))
  each(`(?:INSERT INTO|COPY INTO|MERGE INTO|DELETE FROM|UPDATE|ALTER TABLE) ${tableName}`, (name) =>
    add('MODIFY', 'Table', name),
  )
  each(`(?:(?<!DELETE )FROM|JOIN|DESCRIBE DETAIL|DESCRIBE HISTORY) ${tableName}`, (name) => {
    const [catalog = '', schema] = name.split('.')
    if (schema === 'information_schema') add('USE CATALOG', 'Catalog', catalog)
    else add('SELECT', 'Table', name)
  })
  const volume = "'/Volumes/([^'/]+/[^'/]+/[^'/]+)"
  each(`(?:PUT '[^']*' INTO|REMOVE) ${volume}`, (name) =>
    add('WRITE VOLUME', 'Volume', plain(name.replaceAll('/', '.'))),
  )
  each(`(?:LIST |FROM |read_files\\()${volume}`, (name) =>
    add('READ VOLUME', 'Volume', plain(name.replaceAll('/', '.'))),
  )
  return needs
}

function plain(name: string): string {
  return name.replaceAll('`', '').toLowerCase()
}

function textOf({ privilege, kind, name }: Need, prefix = 'User does not have '): string {
  return `${prefix}${privilege} on ${kind} '${name}'`
}

function insufficient(need: Need): SqlFailure {
  return new SqlFailure('INSUFFICIENT_PERMISSIONS', '42501', `Insufficient privileges:\n${textOf(need)}.`)
}
