import { sqlString } from '../sql.ts'

/** A server's part in a replication. */
export type ServerRole = 'primary' | 'replica'

/** What the config says of the servers whose records do not. */
export interface KnownServers {
  readonly role: ServerRole | undefined
  /** By the server's name in lower case. */
  readonly roles: Readonly<Record<string, ServerRole>>
  readonly serverName: string | undefined
}

/** The part of a blob's name that a listing of any other layout lacks, in the usual spellings of the root. */
const root = 'esourceId=/'
const serverInPath = '(?i)/providers/microsoft\\.dbforpostgresql/[^/]+/([^/]+)/'

/**
 * SQL of the server's name for a record that does not state it: the one of the config, or else that in the name of a blob
 * of Azure Monitor.
 *
 * @param passThrough the columns beside the record's own; `source_blob` has the blob's name
 */
export function knownServerName({ serverName }: KnownServers, passThrough: readonly string[]): string {
  if (serverName !== undefined) return sqlString(serverName)
  if (!passThrough.includes('source_blob')) return 'NULL::VARCHAR'
  return `CASE WHEN contains(source_blob, ${sqlString(root)})
    THEN nullif(lower(regexp_extract(source_blob, ${sqlString(serverInPath)}, 1)), '') END`
}

/** SQL of the role of a record that does not state it, by the SQL of its server's name. */
export function knownRole({ role, roles }: KnownServers, serverName: string): string {
  const otherwise = role === undefined ? 'NULL::VARCHAR' : sqlString(role)
  const branches = (['primary', 'replica'] as const).flatMap((one) => {
    const names = Object.keys(roles).filter((name) => roles[name] === one)
    if (names.length === 0) return []
    return [`WHEN lower(${serverName}) IN (${names.map(sqlString).join(', ')}) THEN ${sqlString(one)}`]
  })
  return branches.length === 0 ? otherwise : `CASE ${branches.join(' ')} ELSE ${otherwise} END`
}
