import { TailraceError } from '../../errors.ts'

/**
 * Whether a name can stand in a statement and in a URL as it is: parts of `A-Z a-z 0-9 . _ -` between single slashes,
 * none of them `.` or `..`.
 */
function isStagedName(name: string): boolean {
  return name.split('/').every((part) => /^[\w.-]+$/.test(part) && part !== '.' && part !== '..')
}

/** @returns the last part of a name. */
export function lastPartOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** @returns what stands before the last part of a path, without the slash. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/** @throws CONFIG_INVALID for a folder that is not in a volume, or that has other characters than names may have */
export function checkedFolder(folder: string): string {
  const path = folder.replace(/\/+$/, '')
  if (/^\/Volumes(?:\/[^/]+){3,}$/.test(path) && isStagedName(path.slice(1))) return path
  throw new TailraceError(
    'CONFIG_INVALID',
    `${folder} is no folder for staging: /Volumes/catalog/schema/volume, folders below it at will, of A-Z a-z 0-9 . _ -`,
  )
}

/** @throws CONFIG_INVALID for a name with other characters than `A-Z a-z 0-9 . _ - /`, or with `..` */
export function checkedName(name: string): string {
  if (isStagedName(name)) return name
  throw new TailraceError('CONFIG_INVALID', `${name} is no name of a staged file.`)
}

/** @throws WAREHOUSE_UNAVAILABLE when the volume holds another length than was sent */
export function checkLength(name: string, sentBytes: number, bytes: number | undefined): void {
  if (bytes === sentBytes) return
  const held = bytes === undefined ? 'is not there' : `has ${bytes} bytes`
  throw new TailraceError(
    'WAREHOUSE_UNAVAILABLE',
    `The staged file ${name} ${held} after an upload of ${sentBytes} bytes`,
    { context: { sentBytes, bytes } },
  )
}
