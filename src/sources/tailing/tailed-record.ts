import { type JsonValue, parseJson } from '../../json.ts'
import { type LineBlock, latin1AsText } from '../../records.ts'

/** One line as `AppendBlobTailer.readNext` returns it. */
export interface TailedRecord {
  /** Offset of the line's first byte. */
  readonly offset: number
  /** Bytes, the newline included. */
  readonly length: number
  /** The line without its line ending; of one over the limit, its first bytes. */
  readonly text: string
  /** The parsed line; `undefined` when it is not well-formed JSON, or over the limit. */
  readonly value: JsonValue | undefined
}

/** The lines of a block, blank ones left out. */
export function tailedRecords({ lines, tooLong }: LineBlock): TailedRecord[] {
  const cut = new Set(tooLong)
  return lines.flatMap(({ offset, length, latin1 }, index) => {
    const decoded = latin1AsText(latin1).replace(/\r$/, '')
    const text = offset === 0 && decoded.startsWith('\ufeff') ? decoded.slice(1) : decoded
    if (text.trim() === '') return []
    return [{ offset, length, text, value: cut.has(index) ? undefined : parsed(text) }]
  })
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
