import type { BlobType } from '../blob-reader.ts'
import { headBytes } from './fingerprint.ts'

/** How a blob's bytes are split into records, or why they cannot be. */
export type Framing =
  /** One record on each line. */
  | { readonly kind: 'lines' }
  /** Concatenated gzip members of lines. */
  | { readonly kind: 'gzip' }
  /** `{"records":[…]}` documents, over any number of lines. */
  | { readonly kind: 'documents' }
  /** `reason` names the format and the remedy, to follow a blob's name: "is Parquet: …". */
  | { readonly kind: 'refused'; readonly reason: string }

/** A framing that can be read. */
export type KnownFraming = Exclude<Framing['kind'], 'refused'>

const decompress = 'write it uncompressed or as gzip'
const asTable = 'it is a table already, so read it with a query engine instead'
const asText = 'write NDJSON instead'
const asUtf8 = 'write UTF-8 instead'
const unpack = 'unpack it and write the logs in it as NDJSON'

/** First bytes of other formats, in hexadecimal. None is the beginning of a text: a log may start with any word. */
const foreign: readonly { readonly starts: RegExp; readonly format: string; readonly remedy: string }[] = [
  // A skippable frame may come before the first frame with data.
  { starts: /^(?:28b52ffd|5[0-9a-f]2a4d18)/, format: 'zstd', remedy: decompress },
  { starts: /^fd377a585a00/, format: 'xz', remedy: decompress },
  { starts: /^425a683[1-9](?:314159265359|177245385090)/, format: 'bzip2', remedy: decompress },
  { starts: /^(?:02|03|04)224d18/, format: 'LZ4', remedy: decompress },
  { starts: /^ff060000734e61507059/, format: 'framed Snappy', remedy: decompress },
  { starts: /^1f(?:9d|a0)/, format: 'compress (.Z)', remedy: decompress },
  { starts: /^78(?:01|9c|da)/, format: 'zlib', remedy: decompress },
  // `PAR1`, and `PARE` with an encrypted footer; a page header begins with 15.
  { starts: /^504152(?:31|45)15/, format: 'Parquet', remedy: asTable },
  { starts: /^4f626a01/, format: 'Avro', remedy: asText },
  // `ORC` and a byte that does not occur in text.
  { starts: /^4f5243(?:0[0-8ef]|1|7f|[89a-f])/, format: 'ORC', remedy: asTable },
  { starts: /^4152524f57310000/, format: 'Arrow', remedy: asTable },
  { starts: /^5345510[4-6]/, format: 'a Hadoop sequence file', remedy: asText },
  { starts: /^53514c69746520666f726d6174203300/, format: 'an SQLite database', remedy: asText },
  { starts: /^504b(?:0304|0506|0708)/, format: 'zip', remedy: unpack },
  { starts: /^377abcaf271c/, format: '7-Zip', remedy: unpack },
  { starts: /^526172211a07/, format: 'RAR', remedy: unpack },
  { starts: /^456c6646696c6500/, format: 'a Windows event log', remedy: asText },
  {
    starts: /^(?:d4c3b2a1|a1b2c3d4|0a0d0d0a.{8}(?:1a2b3c4d|4d3c2b1a))/,
    format: 'a packet capture',
    remedy: asText,
  },
  // UTF-32 first: its little-endian mark begins with that of UTF-16.
  { starts: /^(?:fffe0000|0000feff)/, format: 'UTF-32', remedy: asUtf8 },
  { starts: /^(?:fffe|feff)/, format: 'UTF-16', remedy: asUtf8 },
  // A brace, and then a quote or white space.
  { starts: /^(?:7b00(?:22|20|09|0a|0d)00|007b00(?:22|20|09|0a|0d))/, format: 'UTF-16', remedy: asUtf8 },
]

const gzip = '1f8b'
const documents = /^(?:\xef\xbb\xbf)?[ \t\r\n]*\{[ \t\r\n]*"records"[ \t\r\n]*:[ \t\r\n]*\[/

/** In UTF-8, as Latin-1 shows it. */
const byteOrderMark = '\xef\xbb\xbf'
const documentsStart = '{"records":['

/**
 * Whether a whole blob is so short that its framing does not show yet: one byte of a gzip member, or a part of
 * `{"records":[`.
 *
 * Such a blob must wait, because its framing is chosen only once: a gzip member that is read as lines is never decompressed.
 *
 * @param content all bytes that the blob has
 */
export function isFramingOpen(content: Buffer): boolean {
  if (content.length >= headBytes) return false
  if (content.length === 1 && content[0] === 0x1f) return true
  const text = content.toString('latin1')
  if (text !== '' && byteOrderMark.startsWith(text)) return true
  const start = text.replace(byteOrderMark, '').replace(/[ \t\r\n]+/g, '')
  return start !== '' && start.length < documentsStart.length && documentsStart.startsWith(start)
}

/**
 * Recognizes a blob's framing by its first bytes.
 *
 * Unknown bytes are taken for `lines`: a line that is no record becomes a rejected row, which a user sees.
 *
 * @param head the blob's first bytes, up to 256; fewer are enough
 */
export function framingOf(head: Buffer, blobType: BlobType): Framing {
  if (blobType === 'page') {
    return {
      kind: 'refused',
      reason: 'is a page blob, which has no end to follow: write to an append blob or a block blob',
    }
  }
  const hex = head.toString('hex', 0, 16)
  if (hex.startsWith(gzip)) return { kind: 'gzip' }
  const found = foreign.find(({ starts }) => starts.test(hex))
  if (found !== undefined) return { kind: 'refused', reason: `is ${found.format}: ${found.remedy}` }
  const start = head.toString('latin1', 0, headBytes)
  return { kind: documents.test(start) ? 'documents' : 'lines' }
}
