import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Batch } from '../../records.ts'
import { fieldSeparator } from '../../streams/staging/spool.ts'

const separator = fieldSeparator.charCodeAt(0)
const newline = 0x0a

/**
 * Copies the rows of a batch without those of some spans. The spans keep their indexes, by which the rows name them.
 *
 * @param left indexes of the spans whose rows are left out
 * @param path where the spool of the copy goes; a file there is replaced
 */
export async function remainingRows(batch: Batch, left: ReadonlySet<number>, path: string): Promise<Batch> {
  const target = await open(path, 'w')
  let rows = 0
  let spoolBytes = 0
  try {
    /** The digits of a row's span so far; undefined behind them. */
    let index: string | undefined = ''
    let isKept = false
    for await (const chunk of createReadStream(batch.spoolPath) as AsyncIterable<Buffer>) {
      const kept: Buffer[] = []
      for (let at = 0; at < chunk.length; ) {
        if (index !== undefined) {
          const end = chunk.indexOf(separator, at)
          index += chunk.toString('latin1', at, end < 0 ? chunk.length : end)
          if (end < 0) break
          isKept = !left.has(Number(index))
          if (isKept) kept.push(Buffer.from(index, 'latin1'))
          index = undefined
          at = end
        }
        const end = chunk.indexOf(newline, at)
        const next = end < 0 ? chunk.length : end + 1
        if (isKept) kept.push(chunk.subarray(at, next))
        if (end >= 0) {
          if (isKept) rows += 1
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
  return { ...batch, spoolPath: path, rows, spoolBytes }
}
