import { posix, resolve } from 'node:path'
import { TailraceError } from '../../../errors.ts'
import type { TableName } from '../../../tables/table.ts'

/** The place of a table: a local directory or a folder in a container of Azure storage. */
export type TableLocation = DirectoryLocation | AzureLocation

export interface DirectoryLocation {
  readonly kind: 'directory'
  /** Absolute. */
  readonly path: string
}

export interface AzureLocation {
  readonly kind: 'azure'
  /** The account's Blob endpoint, without a slash at its end. */
  readonly accountUrl: string
  readonly container: string
  /** A folder in the container, without slashes at its ends; empty for the whole container. */
  readonly folder: string
}

/** Host of an account: account name, optional zone or private link, service, cloud domain. */
const accountHost = /^([a-z0-9][a-z0-9-]{1,62})((?:\.z\d{1,3}|\.privatelink)?)\.(?:blob|dfs)\.([a-z0-9.-]+)$/
/** Host of an emulator; the account is the first part of the URL's path. */
const emulatorHost = /^(?:localhost|\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\])$/
/** https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata */
const containerName = /^(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*$/

const expected =
  'a directory, abfss://container@account.dfs.core.windows.net/folder or https://account.blob.core.windows.net/container/folder'

/**
 * Parses a location from a config.
 *
 * Text without a scheme is a directory. Azure locations are Spark's `abfss:` and `wasbs:` URLs, and `https:` URLs of the
 * Blob or the Data Lake endpoint, or of an emulator at an IP address or localhost. A URL with a signature or a password
 * is refused, because locations are logged.
 *
 * @param directory the base of relative paths
 * @throws CONFIG_INVALID with the forms that are expected; it does not quote the text, which may hold a secret
 */
export function parseTableLocation(text: string, directory: string): TableLocation {
  const scheme = /^([a-z][a-z0-9+.-]+):\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return { kind: 'directory', path: resolve(directory, text) }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid('a URL that cannot be read', expected)
  if (url.search !== '' || url.hash !== '') {
    throw invalid('a URL with a query', 'a URL without a query; set a signature (SAS) in `storage`')
  }
  if (url.password !== '') throw invalid('a URL with a password', 'a URL without credentials')

  switch (scheme) {
    case 'abfss':
    case 'abfs':
    case 'wasbs':
    case 'wasb':
      return hadoopLocation(url)
    case 'https':
    case 'http':
      return httpLocation(url)
    default:
      throw invalid(`a location with ${scheme}:`, expected)
  }
}

/** @returns the location of a folder below another; `names` are its path parts, without slashes. */
export function locationBelow<Location extends TableLocation>(
  location: Location,
  ...names: readonly string[]
): Location {
  return location.kind === 'directory'
    ? { ...location, path: resolve(location.path, ...names) }
    : { ...location, folder: posix.join(location.folder, ...names) }
}

/** A table and the root of its sink. */
interface LocatedTable {
  readonly sink: { readonly root: string }
  readonly table: { readonly name: TableName }
}

/** @returns the location of a table below the resolved root of its sink: `<root>/<catalog>/<schema>/<table>` */
export function tableLocation({ sink, table }: LocatedTable): TableLocation {
  const { catalog, schema, table: name } = table.name
  return locationBelow(parseTableLocation(sink.root, '/'), catalog, schema, name)
}

/** @returns the directories of those tables that lie on this machine */
export function localDirectories(tables: readonly LocatedTable[]): readonly string[] {
  return tables.flatMap((table) => {
    const location = tableLocation(table)
    return location.kind === 'directory' ? [location.path] : []
  })
}

/** @returns a canonical text of a location, for messages and to compare two locations. */
export function locationText(location: TableLocation): string {
  if (location.kind === 'directory') return location.path
  const { accountUrl, container, folder } = location
  return [accountUrl, container, ...(folder === '' ? [] : folder.split('/').map(encodeURIComponent))].join(
    '/',
  )
}

/** Parses `scheme://container@account.dfs.core.windows.net/folder`. TLS is used for every scheme. */
function hadoopLocation(url: URL): AzureLocation {
  const host = accountHost.exec(url.host.toLowerCase())
  if (host === null || url.username === '') {
    throw invalid(
      `${url.protocol} without container or account`,
      `${url.protocol}//container@account.dfs.core.windows.net/folder`,
    )
  }
  return located(blobUrl(host), decoded(url.username), partsOf(url.pathname))
}

function httpLocation(url: URL): AzureLocation {
  if (url.username !== '') throw invalid('a URL with a user', 'a URL without credentials')
  const [first, ...rest] = partsOf(url.pathname)
  if (emulatorHost.test(url.hostname)) {
    if (first === undefined)
      throw invalid('an emulator without account', `${url.origin}/account/container/folder`)
    return located(`${url.origin}/${first}`, rest[0], rest.slice(1))
  }
  if (url.protocol === 'http:')
    throw invalid('http:', 'https:, because credentials would travel in the clear')
  const host = accountHost.exec(url.host)
  if (host === null) throw invalid(`the host ${url.host}`, 'account.blob.core.windows.net')
  return located(blobUrl(host), first, rest)
}

function located(
  accountUrl: string,
  container: string | undefined,
  folders: readonly string[],
): AzureLocation {
  if (container === undefined || !containerName.test(container)) {
    throw invalid(
      container === undefined ? 'no container' : `the container ${container}`,
      'a container of 3 to 63 lower-case letters, digits and single -',
    )
  }
  return { kind: 'azure', accountUrl, container, folder: folders.join('/') }
}

/** Commits use the Blob endpoint, also for a Data Lake URL: both endpoints show the same objects. */
function blobUrl([, account, zone, cloud]: RegExpExecArray): string {
  return `https://${account}${zone}.blob.${cloud}`
}

function partsOf(pathname: string): string[] {
  const parts = decoded(pathname)
    .split('/')
    .filter((part) => part !== '')
  // The URL parser resolves `.` and `..`, except between escaped slashes.
  if (parts.some((part) => part === '.' || part === '..')) throw invalid('a path with dots', 'a plain path')
  return parts
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('an invalid % escape', 'a URL, in which % is written as %25')
  }
}

function invalid(found: string, wanted: string): TailraceError {
  return new TailraceError('CONFIG_INVALID', `found ${found}, expected ${wanted}`)
}
