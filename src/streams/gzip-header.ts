import { crc32 } from 'node:zlib'

const fixedBytes = 10
/** A header longer than this is no producer's: names and comments have no limit of their own. */
const maxHeaderBytes = 256 * 1024

const deflate = 8
const flags = { headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10, reserved: 0xe0 } as const

/**
 * Measures the header at the start of a gzip member, by RFC 1952, section 2.3.
 *
 * @returns the header's length in bytes, or `undefined` when more bytes are needed to tell
 * @throws Error that says what is wrong with it
 */
export function gzipHeaderBytes(bytes: Buffer): number | undefined {
  const end = headerEnd(bytes)
  if (end === undefined && bytes.length > maxHeaderBytes) throw new Error('its header does not end')
  return end
}

function headerEnd(bytes: Buffer): number | undefined {
  if ((bytes[0] ?? 0x1f) !== 0x1f || (bytes[1] ?? 0x8b) !== 0x8b) throw new Error('it does not begin as gzip')
  if ((bytes[2] ?? deflate) !== deflate) throw new Error('its compression method is unknown')
  if (bytes.length < fixedBytes) return undefined
  const set = bytes[3] as number
  if ((set & flags.reserved) !== 0) throw new Error('its header has unknown flags')

  let at = fixedBytes
  if ((set & flags.extra) !== 0) {
    if (bytes.length < at + 2) return undefined
    at += 2 + bytes.readUInt16LE(at)
    if (bytes.length < at) return undefined
  }
  for (const text of [flags.name, flags.comment]) {
    if ((set & text) === 0) continue
    const zero = bytes.indexOf(0, at)
    if (zero < 0) return undefined
    at = zero + 1
  }
  if ((set & flags.headerCrc) === 0) return at
  if (bytes.length < at + 2) return undefined
  if (bytes.readUInt16LE(at) !== (crc32(bytes.subarray(0, at)) & 0xffff))
    throw new Error("its header's checksum does not match")
  return at + 2
}
