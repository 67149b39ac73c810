import { byteAmount } from './byte-amount.ts'
import { displayWidth } from './cell-text.ts'
import { escapeText } from './escape-text.ts'

/** The fields of a log line about a landed batch; docs/operations.md describes them. */
interface LandedFields {
  readonly msg: 'landed'
  readonly time: string
  readonly pipeline: string
  readonly blobs: readonly { readonly blob: string; readonly end: number }[]
  readonly blobCount: number
  readonly rows: number
  readonly bytes: number
  readonly lagBytes: number
  readonly encodeMs: number
  readonly commitMs: number
}

/**
 * @param json a line of the log
 * @returns a short line for a person about a landed batch; undefined for any other line
 */
export function landedLine(json: string): string | undefined {
  if (!json.includes('"msg":"landed"')) return undefined
  const fields = JSON.parse(json) as Partial<LandedFields>
  const { time, pipeline, blobs, blobCount, rows, bytes, lagBytes, encodeMs, commitMs } = fields
  const [first] = blobs ?? []
  if (time === undefined || pipeline === undefined || first === undefined) return undefined
  const place = blobCount === 1 ? `${first.blob} @ ${grouped(first.end)}` : `${blobCount} blobs`
  const cells: readonly (readonly [text: string, width: number])[] = [
    [`[${new Date(time).toISOString().slice(11, 23)}]`, 0],
    [pipeline, 8],
    [`${grouped(rows)} rows`, -12],
    [byteAmount(bytes ?? 0), -8],
    [`lag ${byteAmount(lagBytes ?? 0)}`, -11],
    [`${(encodeMs ?? 0) + (commitMs ?? 0)} ms`, -8],
    [place, 0],
  ]
  return `${escapeText(cells.map(([text, width]) => padded(text, width)).join('  '))}\n`
}

function grouped(count: number | undefined): string {
  return (count ?? 0).toLocaleString('en-US')
}

/** @param width in columns of the terminal; negative: the text stands right */
function padded(text: string, width: number): string {
  const padding = ' '.repeat(Math.max(0, Math.abs(width) - displayWidth(text)))
  return width < 0 ? padding + text : text + padding
}
