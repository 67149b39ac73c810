import assert from 'node:assert/strict'
import type { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { type BlobGeneration, compareGenerations } from '../../src/records.ts'
import type { BlobService } from '../support/blob-service/blob-service.ts'
import {
  assertGenerationsDelivered,
  continuedInstants,
} from '../support/blob-service/delivered-generations.ts'
import type { SimulatedRow } from './row-encoder.ts'
import { completeBytes, container, expectedRows, type WrittenBlob } from './written-blobs.ts'

/** A table as its readers see it. */
export interface LandedTable {
  readonly offsets: LandedOffsets
  /** Those that are not in an archive alone. Default: all. */
  readonly unarchived?: LandedOffsets
  /**
   * Whether the table may have rows of a batch that nothing recorded before a process was killed. Then a document that
   * grew has some rows with its earlier end, and a blob that was replaced has some rows beyond its offset.
   */
  readonly mayHaveUnrecordedRows: boolean
  /** The rows of one generation, in order. */
  rowsOf(source: BlobGeneration): readonly SimulatedRow[]
}

/** @returns whether the newest content of every blob is in the table, up to its last complete line or unit */
export function isAllLanded(blobs: readonly WrittenBlob[], table: LandedTable): boolean {
  return blobs.every((blob) => {
    const wanted = completeBytes(blob.plan.kind, blob.content)
    if (wanted === 0) return true
    const newest = generationsOf(blob, table).at(-1)
    if (newest === undefined || table.offsets.get(newest) !== wanted) return false
    return textOf(blob, table.rowsOf(newest)) === expectedText(blob, blob.content)
  })
}

/**
 * Asserts that each landed generation is the beginning of a content that the blob had, one after the other, and that
 * the last content has landed whole, each record at its place.
 */
export function assertAllLanded(
  blobs: readonly WrittenBlob[],
  service: BlobService,
  table: LandedTable,
): void {
  for (const blob of blobs) {
    const landed = generationsOf(blob, table)
    const contents = service.generations(container, blob.name)
    try {
      assertGenerationsDelivered(
        contents.map(({ createdAtMs, content }, index) => ({
          createdAtMs,
          content: Buffer.from(expectedText(blob, content)),
          earlierInstants: continuedInstants(contents, index),
        })),
        landed.map((source) => ({
          generation: source.generation,
          bytes: Buffer.from(textOf(blob, table.rowsOf(source))),
        })),
        blob.exists,
      )
      for (const source of landed) assertTiled(blob, source, table)
      const wanted = completeBytes(blob.plan.kind, blob.content)
      if (wanted > 0)
        assert.equal(table.offsets.get(landed.at(-1)!), wanted, 'the offset of the last content')
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(`${blob.name}: ${message}`, { cause: error })
    }
  }
}

/** The generations of a blob that have landed, the newest one last. */
function generationsOf({ name }: WrittenBlob, table: LandedTable): BlobGeneration[] {
  return [...table.offsets].filter(({ blob }) => blob === `${container}/${name}`).sort(compareGenerations)
}

/** Units touch, except where the newline behind a document came with a later read. Blank lines have no row. */
function assertTiled({ plan }: WrittenBlob, source: BlobGeneration, table: LandedTable): void {
  if (plan.kind === 'lines') return
  const maxGapBytes = plan.kind === 'documents' ? 1 : 0
  let at = 0
  const assertBegins = (start: number): void =>
    assert.ok(
      start >= at && start - at <= maxGapBytes,
      `a unit ends at ${at} and the next one begins at ${start}`,
    )
  for (const { offset, length, index } of table.rowsOf(source)) {
    if (index === 0) {
      assertBegins(offset)
      at = offset + length
    } else if (table.mayHaveUnrecordedRows) at = Math.max(at, offset + length)
    else assert.equal(offset + length, at, 'the end of a record of a unit')
  }
  const end = table.offsets.get(source) ?? 0
  assertBegins(table.mayHaveUnrecordedRows ? Math.max(at, end) : end)
}

function textOf({ plan }: WrittenBlob, rows: readonly SimulatedRow[]): string {
  return rows
    .map(({ offset, length, index, raw }) => {
      const place = { lines: `${offset}+${length}`, gzip: `${offset}+${length}#${index}`, documents: '' }[
        plan.kind
      ]
      return `${place} ${raw}\n`
    })
    .join('')
}

function expectedText({ plan }: WrittenBlob, content: Buffer): string {
  return expectedRows(plan.kind, content)
    .map(({ place, raw }) => `${place} ${raw}\n`)
    .join('')
}
