import { posix } from 'node:path'
import { crc32 } from 'node:zlib'
import { TailraceError } from '../../../errors.ts'
import { parseTableLocation } from '../storage/location.ts'
import type { DeletionVector } from './actions.ts'
import { type NumberSet, readRoaringBitmap } from './roaring-bitmap.ts'

/** The version of the files that hold deletion vectors. */
const fileVersion = 1
/** Begins each vector; followed by a 64-bit Roaring bitmap. */
const magicNumber = 1_681_511_377
/** A UUID as Z85; what stands before it is a folder. */
const uuidCharacters = 20

/**
 * Where a deletion vector is stored.
 *
 * @param location the table's root, as its storage states it
 * @returns the path of its file, relative to the table's root; undefined for one that is in the log itself
 * @throws TABLE_CORRUPT when the log's word leads nowhere, TABLE_UNSUPPORTED when it leads out of the table
 */
export function deletionVectorPath(vector: DeletionVector, location: string): string | undefined {
  const { pathOrInlineDv } = vector
  switch (placeOf(vector)) {
    case 'log':
      return undefined
    case 'table': {
      const folder = pathOrInlineDv.slice(0, -uuidCharacters)
      const path = posix.join(folder, relativeName(pathOrInlineDv))
      if (!path.startsWith('..') && !posix.isAbsolute(path)) return path
      throw outside(pathOrInlineDv)
    }
    case 'anywhere': {
      const path = pathWithin(location, pathOrInlineDv)
      if (path !== undefined) return path
      throw outside(pathOrInlineDv)
    }
  }
}

/** @returns whether a vector cannot be read, because its file is not one of the table's. */
export function isOutside(vector: DeletionVector | undefined, location: string): boolean {
  return vector?.storageType === 'p' && pathWithin(location, vector.pathOrInlineDv) === undefined
}

/**
 * @returns the name of a vector's file, in whichever folder; undefined for one that is in the log itself
 * @throws TABLE_CORRUPT when the log's word is no name, TABLE_UNSUPPORTED when its kind is not known
 */
export function deletionVectorName(vector: DeletionVector): string | undefined {
  const { pathOrInlineDv } = vector
  switch (placeOf(vector)) {
    case 'log':
      return undefined
    case 'table':
      return relativeName(pathOrInlineDv)
    case 'anywhere':
      return posix.basename(decoded(pathOrInlineDv) ?? pathOrInlineDv)
  }
}

/** @returns whether a file of this name is one that holds deletion vectors. */
export function isDeletionVectorName(name: string): boolean {
  return /^deletion_vector_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.bin$/.test(name)
}

/**
 * Reads the row numbers that a deletion vector names (PROTOCOL.md, "Deletion Vector Format", read 2026-11).
 *
 * @param file what its file holds; undefined for one that is in the log itself
 * @throws TABLE_CORRUPT when the bytes are not those that the log and the file's checksum speak of
 */
export function decodeDeletionVector(vector: DeletionVector, file: Buffer | undefined): NumberSet {
  try {
    const bytes = file === undefined ? inlineBytes(vector) : storedBytes(vector, file)
    const magic = bytes.readUInt32LE()
    if (magic !== magicNumber) throw new RangeError(`Its magic number is ${magic}.`)
    const rows = readRoaringBitmap(bytes.subarray(4), vector.cardinality)
    if (rows.count === vector.cardinality) return rows
    throw new RangeError(`It has ${rows.count} rows, and the log says ${vector.cardinality}.`)
  } catch (error) {
    if (error instanceof RangeError) throw corrupt(vector, error.message, error)
    throw error
  }
}

/** @throws TABLE_CORRUPT naming a vector whose file is gone */
export function missingDeletionVector(vector: DeletionVector, path: string): TailraceError {
  return corrupt(vector, `${path} is missing.`)
}

function inlineBytes({ pathOrInlineDv, sizeInBytes }: DeletionVector): Buffer {
  const bytes = decodeZ85(pathOrInlineDv)
  if (bytes === undefined) throw new RangeError('It is no Z85 text.')
  // The text stands for a multiple of four bytes.
  if (!(sizeInBytes <= bytes.length)) throw new RangeError(`It ends before ${sizeInBytes} bytes.`)
  return bytes.subarray(0, sizeInBytes)
}

function storedBytes({ offset = 0, sizeInBytes }: DeletionVector, file: Buffer): Buffer {
  const version = file.readUInt8()
  if (version !== fileVersion) throw new RangeError(`Its file is of version ${version}.`)
  const size = file.readUInt32BE(offset)
  if (size !== sizeInBytes) throw new RangeError(`It has ${size} bytes, and the log says ${sizeInBytes}.`)
  const start = offset + 4
  const checksum = file.readUInt32BE(start + size)
  const bytes = file.subarray(start, start + size)
  if (crc32(bytes) !== checksum) throw new RangeError('Its checksum is another.')
  return bytes
}

function relativeName(pathOrInlineDv: string): string {
  const uuid = decodeZ85(pathOrInlineDv.slice(-uuidCharacters))
  if (uuid?.length !== 16) {
    throw new TailraceError('TABLE_CORRUPT', `The log names a deletion vector by no UUID: ${pathOrInlineDv}`)
  }
  const parts = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(uuid.toString('hex'))!.slice(1)
  return `deletion_vector_${parts.join('-')}.bin`
}

/** The only place that knows the kinds: what is not known to one reader of the log must not be guessed by another. */
function placeOf({ storageType }: DeletionVector): 'log' | 'table' | 'anywhere' {
  switch (storageType) {
    case 'i':
      return 'log'
    case 'u':
      return 'table'
    case 'p':
      return 'anywhere'
    default:
      throw new TailraceError(
        'TABLE_UNSUPPORTED',
        `The table stores deletion vectors in a way that this program does not know: ${storageType}.`,
      )
  }
}

/** @param uri as absolute paths of data files are written: with escapes (PROTOCOL.md, "Deletion Vector Descriptor") */
function pathWithin(location: string, uri: string): string | undefined {
  const localPath = /^(?:file:\/{0,2}(?=\/))?(\/.*)$/s.exec(uri)?.[1]
  const [root, found] = [plainText(location), plainText(localPath === undefined ? uri : decoded(localPath))]
  return found?.startsWith(`${root}/`) ? found.slice(`${root}/`.length) : undefined
}

/** @returns a location without escapes, or undefined for a place where no table of this program can be */
function plainText(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    const location = parseTableLocation(text, '/')
    if (location.kind === 'directory') return location.path
    const { accountUrl, container, folder } = location
    return folder === '' ? `${accountUrl}/${container}` : `${accountUrl}/${container}/${folder}`
  } catch {
    return undefined
  }
}

function decoded(uri: string): string | undefined {
  try {
    return decodeURIComponent(uri)
  } catch {
    return undefined
  }
}

function outside(path: string): TailraceError {
  return new TailraceError(
    'TABLE_UNSUPPORTED',
    `The table names a deletion vector outside of its directory: ${path}`,
  )
}

function corrupt(vector: DeletionVector, reason: string, cause?: unknown): TailraceError {
  const { storageType, pathOrInlineDv, offset } = vector
  const name = storageType === 'i' ? 'in the log' : `${deletionVectorName(vector)} at ${offset ?? 0}`
  return new TailraceError('TABLE_CORRUPT', `The deletion vector ${name} cannot be read: ${reason}`, {
    context: { storageType, pathOrInlineDv, offset },
    cause,
  })
}

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const values = new Map(Array.from(alphabet, (character, value) => [character, value]))

/**
 * Reads Z85, the Base85 variant of Delta's log (https://rfc.zeromq.org/spec/32/, read 2026-11): five characters for
 * four bytes.
 *
 * @returns undefined when the text is none
 */
export function decodeZ85(text: string): Buffer | undefined {
  if (text.length % 5 !== 0) return undefined
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let at = 0; at < text.length; at += 5) {
    let word = 0
    for (const character of text.slice(at, at + 5)) word = word * 85 + (values.get(character) ?? Number.NaN)
    if (!(word <= 0xffff_ffff)) return undefined
    bytes.writeUInt32BE(word, (at / 5) * 4)
  }
  return bytes
}
