import { posix, resolve } from 'node:path'
import { TailraceError } from '../../../errors.ts'

/** Where tables are, in a directory of this machine or in a container of Azure storage. */
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

/** Hosts of an account: its name, maybe a zone or a private link, the service, the cloud. */
const accountHost = /^([a-z0-9][a-z0-9-]{1,62})((?:\.z\d{1,3}|\.privatelink)?)\.(?:blob|dfs)\.([a-z0-9.-]+)$/
/** Hosts of an emulator, whose account is the first part of the path. */
const emulatorHost = /^(?:localhost|\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\])$/
/** https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata */
const containerName = /^(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*$/

const expected =
  'a directory, abfss://container@account.dfs.core.windows.net/folder or https://account.blob.core.windows.net/container/folder'

/**
 * Reads a location as users write it.
 *
 * A path is a directory. Azure locations are `abfss:` and `wasbs:` URLs as Spark knows them, and `https:` URLs
 * of the Blob or the Data Lake endpoint, or of an emulator on a loopback or private address. They carry no
 * credential: a URL with a signature or a password is refused, because locations are logged.
 *
 * @param directory what relative paths are relative to
 * @throws CONFIG_INVALID that says what was expected, without the text, which may hold a secret
 */
export function parseTableLocation(text: string, directory: string): TableLocation {
  const scheme = /^([a-z][a-z0-9+.-]+):\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return { kind: 'directory', path: resolve(directory, text) }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid('a URL that cannot be read', expected)
  if (url.search !== '' || url.hash !== '') {
    throw invalid('a URL with a query', 'a URL without one; a signature (SAS) belongs into `storage`')
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

/** A place below a location. Names are joined as they are: they must hold no slash. */
export function locationBelow<Location extends TableLocation>(
  location: Location,
  ...names: readonly string[]
): Location {
  return location.kind === 'directory'
    ? { ...location, path: resolve(location.path, ...names) }
    : { ...location, folder: posix.join(location.folder, ...names) }
}

/** One text for each location, however it was written: for messages, and to tell whether two are the same. */
export function locationText(location: TableLocation): string {
  if (location.kind === 'directory') return location.path
  const { accountUrl, container, folder } = location
  return [accountUrl, container, ...(folder === '' ? [] : folder.split('/').map(encodeURIComponent))].join(
    '/',
  )
}

/** `scheme://container@account.dfs.core.windows.net/folder`; always reached over TLS, whatever the scheme. */
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

/** Both endpoints show the same objects; commits go through the Blob endpoint. */
function blobUrl([, account, zone, cloud]: RegExpExecArray): string {
  return `https://${account}${zone}.blob.${cloud}`
}

function partsOf(pathname: string): string[] {
  const parts = decoded(pathname)
    .split('/')
    .filter((part) => part !== '')
  // The URL parser has resolved dots, except between escaped slashes.
  if (parts.some((part) => part === '.' || part === '..')) throw invalid('a path with dots', 'a plain path')
  return parts
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('a % that is no escape', 'a URL, in which % is %25')
  }
}

function invalid(found: string, wanted: string): TailraceError {
  return new TailraceError('CONFIG_INVALID', `found ${found}, expected ${wanted}`)
}
