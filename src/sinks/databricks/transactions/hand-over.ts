import { type LandedOffset, LandedOffsets } from '../../../offsets/landed-offsets.ts'
import type { PinnedTable } from '../../../offsets/offset-file-writer.ts'
import type { LoadLedger } from '../loading/row-loader.ts'
import type { OffsetsTable } from './offsets-table.ts'

/** What a pipeline that has landed by transactions takes into another mode. */
export interface HandedOver {
  readonly offsets: LandedOffsets
  readonly pinned: PinnedTable | undefined
}

/**
 * Takes the offsets of a pipeline that has landed by transactions over into the offset file, before it lands in another
 * mode. A process that still lands by transactions is fenced off, because its offsets are gone.
 *
 * @returns undefined when the offsets table is not the authority for the pipeline
 */
export async function handOver(
  table: OffsetsTable,
  landsBlob: (blob: string) => boolean,
  ledger: LoadLedger & { pinTable(table: PinnedTable): void },
): Promise<HandedOver | undefined> {
  const stored = await table.readIfThere()
  if (stored === undefined || !stored.isAuthority) return undefined
  const { pinned } = stored
  const offsets = ownOffsets(stored.offsets, landsBlob)
  if (pinned !== undefined) ledger.pinTable(pinned)
  // In this order: after a crash in between, the table is still the authority.
  await ledger.record(offsets, undefined)
  await table.end([...offsets])
  return { offsets, pinned }
}

/** @returns the offsets of those blobs that a pipeline lands, of all blobs of a table */
export function ownOffsets(
  offsets: Iterable<LandedOffset>,
  landsBlob: (blob: string) => boolean,
): LandedOffsets {
  const own = new LandedOffsets()
  for (const { blob, generation, offset } of offsets)
    if (landsBlob(blob)) own.set({ blob, generation, offset })
  return own
}

/** The offsets of the file and those of the rows contradict each other. */
export class OffsetsDisagree extends Error {
  readonly beyond: readonly LandedOffset[]

  constructor(beyond: readonly LandedOffset[]) {
    super('the table has rows beyond the recorded offsets')
    this.beyond = beyond
  }
}

/**
 * Computes the offsets of a pipeline that lands by transactions for the first time. Those of the file may be ahead of the
 * rows, by blank lines or dropped records; rows beyond the file were landed by somebody else, or by a process that was
 * killed before it recorded them.
 *
 * @param recorded the offset file's; undefined without one
 * @throws OffsetsDisagree
 */
export function startingOffsets(
  recorded: LandedOffsets | undefined,
  byRows: readonly LandedOffset[],
): readonly LandedOffset[] {
  if (recorded === undefined) return byRows
  const beyond = byRows.filter((landed) => landed.offset > (recorded.get(landed) ?? 0))
  if (beyond.length > 0) throw new OffsetsDisagree(beyond)
  return [...recorded]
}
