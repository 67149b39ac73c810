import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { containerName } from './storage.ts'
import type { LandedRow } from './table-rows.ts'

/** A line of a blob as a table must hold it. */
interface ExpectedRow {
  readonly offset: number
  readonly length: number
  readonly raw: string
  readonly rejected: boolean
}

/** The complete lines of a blob that become a row each: all but the blank ones. */
export function expectedRows(content: Buffer): readonly ExpectedRow[] {
  const rows: ExpectedRow[] = []
  for (let start = 0; ; ) {
    const end = content.indexOf(0x0a, start) + 1
    if (end === 0) return rows
    const line = content.subarray(start, end - 1)
    const raw = line.toString('utf8')
    if (raw.trim() !== '')
      rows.push({ offset: start, length: end - start, raw, rejected: !isUtf8(line) || !isObject(raw) })
    start = end
  }
}

/**
 * Asserts that a table holds every complete line of a blob exactly once, at its place and with its text.
 *
 * @returns the offset behind the last complete line
 */
export function assertLandedOnce(blob: string, content: Buffer, rows: readonly LandedRow[]): number {
  const landed = rows
    .filter((row) => row.blob === `${containerName}/${blob}`)
    .map(({ offset, length, raw, status }) => ({ offset, length, raw, rejected: status === 'rejected' }))
  const expected = expectedRows(content)
  // The first difference says more than two lists of many thousand lines.
  const different = expected.findIndex((row, index) => JSON.stringify(row) !== JSON.stringify(landed[index]))
  assert.deepEqual(landed[different], expected[different], `${blob}: row ${different}`)
  assert.equal(landed.length, expected.length, `${blob}: number of rows`)
  return content.lastIndexOf(0x0a) + 1
}

/** The offset that an offset file has for a blob's newest generation. */
export async function mirroredOffset(offsetPath: string, blob: string): Promise<number | undefined> {
  const { blobs } = JSON.parse(await readFile(offsetPath, 'utf8')) as {
    blobs: Record<string, { offset: number }[]>
  }
  return blobs[`${containerName}/${blob}`]?.at(-1)?.offset
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
