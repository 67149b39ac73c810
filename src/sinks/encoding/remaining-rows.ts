import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Batch } from '../../records.ts'
import { RowLengths } from '../../streams/staging/row-lengths.ts'
import { fieldSeparator } from '../../streams/staging/spool.ts'

const separator = fieldSeparator.charCodeAt(0)
const newline = 0x0a

/**
 * Copies a batch's spool without the rows of some spans. All spans stay in the batch, because rows refer to them by index.
 *
 * @param excluded indexes of the spans whose rows are left out
 * @param path path of the copy; an existing file is replaced
 */
export async function remainingRows(
  batch: Batch,
  excluded: ReadonlySet<number>,
  path: string,
): Promise<Batch> {
  const target = await open(path, 'w')
  const lengths = new RowLengths()
  let spoolBytes = 0
  try {
    // The digits of the row's span index read so far; undefined after the index is complete.
    let index: string | undefined = ''
    let isKept = false
    let rowBytes = 0
    for await (const chunk of createReadStream(batch.spoolPath) as AsyncIterable<Buffer>) {
      const kept: Buffer[] = []
      for (let at = 0; at < chunk.length; ) {
        if (index !== undefined) {
          const end = chunk.indexOf(separator, at)
          index += chunk.toString('latin1', at, end < 0 ? chunk.length : end)
          if (end < 0) break
          isKept = !excluded.has(Number(index))
          if (isKept) kept.push(Buffer.from(index, 'latin1'))
          rowBytes = index.length
          index = undefined
          at = end
        }
        const end = chunk.indexOf(newline, at)
        const next = end < 0 ? chunk.length : end + 1
        if (isKept) kept.push(chunk.subarray(at, next))
        rowBytes += next - at
        if (end >= 0) {
          if (isKept) lengths.add(rowBytes)
          index = ''
        }
        at = next
      }
      const bytes = Buffer.concat(kept)
      await target.writeFile(bytes)
      spoolBytes += bytes.length
    }
  } finally {
    await target.close()
  }
  return {
    ...batch,
    spoolPath: path,
    rows: lengths.rows,
    spoolBytes,
    longestRowBytes: lengths.longest,
    largestVectorBytes: lengths.largestVector,
  }
}
