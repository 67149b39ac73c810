import { isTailraceError } from '../../../errors.ts'
import { type DatabricksTarget, prefersTransactions, stagesFiles } from '../options.ts'
import { warehouseId } from '../warehouse/setup-error.ts'
import { type Right, rightsOnTable, rightsToUse, type SecurableKind } from './grant-sql.ts'

/** The rights that a landing needs, by purpose, in the order in which the workspace checks them. */
export interface NeededRights {
  readonly container: readonly Right[]
  readonly volume: readonly Right[]
  /** To create tables. */
  readonly creation: readonly Right[]
  /** On the table itself, if the principal does not own it. */
  readonly table: readonly Right[]
  /** On the offsets table. */
  readonly offsets: readonly Right[]
}

/** @returns the rights that a pipeline needs, by its mode */
export function neededRights({ sink, table }: DatabricksTarget): NeededRights {
  const { catalog, schema } = table.name
  const [volumeCatalog = '', volumeSchema = '', volume = ''] = volumeParts(sink.volume)
  const ofVolume = sink.volume !== undefined && stagesFiles(sink)
  const within = ofVolume && sink.mode === 'stage-only' ? [] : [[catalog, schema] as const]
  const places = unique(ofVolume ? [...within, [volumeCatalog, volumeSchema] as const] : within)
  const container = places.flatMap(([one, other]) => rightsToUse(one, other))
  const loads = sink.mode !== 'stage-only'
  return {
    container: uniqueRights(container),
    volume: ofVolume
      ? ['READ VOLUME', 'WRITE VOLUME'].map((privilege) => ({
          privilege,
          kind: 'VOLUME',
          on: [volumeCatalog, volumeSchema, volume],
        }))
      : [],
    creation: loads ? [{ privilege: 'CREATE TABLE', kind: 'SCHEMA', on: [catalog, schema] }] : [],
    table: loads ? rightsOnTable(table.name) : [],
    offsets: prefersTransactions(sink) ? rightsOnTable({ ...table.name, table: 'tailrace_offsets' }) : [],
  }
}

/** @returns the parts of a volume's name, from a path in it */
export function volumeParts(path: string | undefined): readonly string[] {
  return (path ?? '').split('/').slice(2, 5)
}

/** Quotes an argument of a shell command, for every POSIX shell. */
export function quoteArgument(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** Formats the command that grants CAN USE, which SQL cannot: https://docs.databricks.com/dev-tools/cli/reference/permissions-commands */
export function canUseCommand(httpPath: string, principal: string): string {
  const key = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(principal)
    ? 'service_principal_name'
    : 'user_name'
  const list = { access_control_list: [{ [key]: principal, permission_level: 'CAN_USE' }] }
  return `databricks permissions update warehouses ${warehouseId(httpPath)} --json ${quoteArgument(JSON.stringify(list))}`
}

const kinds: Readonly<Record<string, SecurableKind>> = {
  catalog: 'CATALOG',
  schema: 'SCHEMA',
  table: 'TABLE',
  view: 'TABLE',
  volume: 'VOLUME',
}

/**
 * Reads the missing right off the text of a refusal, such as "User does not have MODIFY on Table 'a.b.c'".
 *
 * @returns `unnamed` for a refusal that names none: a network policy or a firewall may be its cause, too; undefined for an
 * error that is no refusal
 */
export function deniedRight(error: unknown): Right | 'unnamed' | undefined {
  if (!isTailraceError(error, 'WAREHOUSE_DENIED')) return undefined
  const [, privilege, kind = '', name] =
    /does not have ([A-Z]+(?: [A-Z]+)*) on (\w+) [`'"]([^`'"]+)[`'"]/i.exec(error.message) ?? []
  const securable = kinds[kind.toLowerCase()]
  if (privilege === undefined || securable === undefined || name === undefined) return 'unnamed'
  return { privilege: privilege.toUpperCase(), kind: securable, on: name.split('.') }
}

function unique(places: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  return [...new Map(places.map((place) => [place.join('.').toLowerCase(), place])).values()]
}

function uniqueRights(rights: readonly Right[]): readonly Right[] {
  const keyOf = ({ privilege, on }: Right): string => `${privilege} ${on.join('.').toLowerCase()}`
  return [...new Map(rights.map((right) => [keyOf(right), right])).values()]
}
