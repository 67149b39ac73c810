import { posix } from 'node:path'
import { crc32 } from 'node:zlib'
import { TailraceError } from '../../../errors.ts'
import { parseTableLocation } from '../storage/location.ts'
import type { DeletionVector } from './actions.ts'
import { type NumberSet, readRoaringBitmap } from './roaring-bitmap.ts'

/** Format version of a deletion vector file, in its first byte. */
const fileVersion = 1
/** First four bytes of every vector; a 64-bit Roaring bitmap follows. */
const magicNumber = 1_681_511_377
/** Length of a Z85-encoded UUID. In a path, a folder name may precede it. */
const uuidCharacters = 20

/**
 * Finds the file of a deletion vector.
 *
 * @param location the table's root, as `DeltaStorage.location`
 * @returns the file's path, relative to the table's root; undefined for a vector stored in the log itself
 * @throws TABLE_CORRUPT when the log's path is invalid, TABLE_UNSUPPORTED when it is outside of the table
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

/** @returns whether a vector cannot be read because its file is outside of the table's directory. */
export function isOutside(vector: DeletionVector | undefined, location: string): boolean {
  return vector?.storageType === 'p' && pathWithin(location, vector.pathOrInlineDv) === undefined
}

/**
 * @returns the file name of a vector without its folder; undefined for a vector stored in the log itself
 * @throws TABLE_CORRUPT when the log's path is invalid, TABLE_UNSUPPORTED for an unknown kind of storage
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

/** @returns whether a file of this name holds deletion vectors. */
export function isDeletionVectorName(name: string): boolean {
  return /^deletion_vector_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.bin$/.test(name)
}

/**
 * Decodes the deleted row numbers of a deletion vector (PROTOCOL.md, "Deletion Vector Format", read 2026-11).
 *
 * @param file the content of its file; undefined for a vector stored in the log itself
 * @throws TABLE_CORRUPT when size, count or checksum differ from those in the log and the file
 */
export function decodeDeletionVector(vector: DeletionVector, file: Buffer | undefined): NumberSet {
  try {
    const bytes = file === undefined ? inlineBytes(vector) : storedBytes(vector, file)
    const magic = bytes.readUInt32LE()
    if (magic !== magicNumber) throw new RangeError(`found magic number ${magic}, expected ${magicNumber}.`)
    const rows = readRoaringBitmap(bytes.subarray(4), vector.cardinality)
    if (rows.count === vector.cardinality) return rows
    throw new RangeError(`found ${rows.count} rows, expected ${vector.cardinality}.`)
  } catch (error) {
    if (error instanceof RangeError) throw corrupt(vector, error.message, error)
    throw error
  }
}

/** @returns TABLE_CORRUPT for a vector whose file is missing */
export function missingDeletionVector(vector: DeletionVector, path: string): TailraceError {
  return corrupt(vector, `the file ${path} is missing.`)
}

function inlineBytes({ pathOrInlineDv, sizeInBytes }: DeletionVector): Buffer {
  const bytes = decodeZ85(pathOrInlineDv)
  if (bytes === undefined) throw new RangeError('the text is not valid Z85.')
  // Z85 pads to a multiple of four bytes, so the text may hold more than the vector.
  if (!(sizeInBytes <= bytes.length))
    throw new RangeError(`found ${bytes.length} bytes, expected at least ${sizeInBytes}.`)
  return bytes.subarray(0, sizeInBytes)
}

function storedBytes({ offset = 0, sizeInBytes }: DeletionVector, file: Buffer): Buffer {
  const version = file.readUInt8()
  if (version !== fileVersion) throw new RangeError(`found file version ${version}, expected ${fileVersion}.`)
  const size = file.readUInt32BE(offset)
  if (size !== sizeInBytes) throw new RangeError(`found ${size} bytes, expected ${sizeInBytes}.`)
  const start = offset + 4
  const checksum = file.readUInt32BE(start + size)
  const bytes = file.subarray(start, start + size)
  if (crc32(bytes) !== checksum) throw new RangeError('checksum mismatch.')
  return bytes
}

function relativeName(pathOrInlineDv: string): string {
  const uuid = decodeZ85(pathOrInlineDv.slice(-uuidCharacters))
  if (uuid?.length !== 16) {
    throw new TailraceError(
      'TABLE_CORRUPT',
      `The log names a deletion vector with an invalid UUID: ${pathOrInlineDv}`,
    )
  }
  const parts = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(uuid.toString('hex'))!.slice(1)
  return `deletion_vector_${parts.join('-')}.bin`
}

/** The only place that interprets `storageType`, so that every caller refuses an unknown one. */
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
        `The table stores deletion vectors in an unknown way: found storage type ${storageType}, expected i, u or p.`,
      )
  }
}

/**
 * @param uri an absolute, URI-encoded path (PROTOCOL.md, "Deletion Vector Descriptor")
 * @returns the path relative to `location`, or undefined when it is outside
 */
function pathWithin(location: string, uri: string): string | undefined {
  const localPath = /^(?:file:\/{0,2}(?=\/))?(\/.*)$/s.exec(uri)?.[1]
  const [root, found] = [plainText(location), plainText(localPath === undefined ? uri : decoded(localPath))]
  return found?.startsWith(`${root}/`) ? found.slice(`${root}/`.length) : undefined
}

/** @returns a location without escapes, or undefined for one that cannot hold a table of this program */
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
 * Decodes Z85, the Base85 variant of Delta's log (https://rfc.zeromq.org/spec/32/, read 2026-11): five characters
 * encode four bytes.
 *
 * @returns undefined when the text is not valid Z85
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
