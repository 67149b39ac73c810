import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey, type Span } from '../../records.ts'
import type { UnitOutcome, UnitsReceipt, WrittenUnit } from '../table-committer.ts'
import { transactionsOf } from './log/offsets.ts'
import { type AddAction, isAddAction, storagePath } from './protocol/actions.ts'
import { SchemaPlan } from './protocol/schema.ts'
import type { DeltaStorage } from './storage/delta-storage.ts'
import type { DeltaTable } from './table.ts'

/** Attempts to choose the units; each is invalidated by another commit to the same blobs, or to the schema. */
const maxAttempts = 10

/**
 * Commits units in one version of the table, however many there are.
 *
 * @throws COMMIT_CONTENDED when other commits keep moving the offsets of their blobs; nothing is visible then
 */
export async function landUnits(
  table: DeltaTable,
  units: readonly WrittenUnit[],
  { storage, clock }: { readonly storage: DeltaStorage; readonly clock: Clock },
): Promise<UnitsReceipt> {
  const missing = await missingFiles(units, storage)
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    await table.refresh()
    const offsetOf = (source: BlobGeneration) => table.state.transactions.landed.get(source)
    const { outcomes, offsets } = judgeUnits(units, offsetOf, (unit) => missing.get(unit))
    const landed = units.filter((_, index) => outcomes[index] === 'landed')
    if (landed.length === 0) return { outcomes, tableVersion: table.state.version }
    const adds = landed.flatMap(({ files }) => files) as unknown as AddAction[]
    const rows = landed.reduce((sum, unit) => sum + unit.rows, 0)
    const schema = adds.length > 0 ? table.planSchema() : new SchemaPlan(table.state.metaData, [])
    const starts = landed.flatMap(({ spans }) => spans).map((span) => [span, offsetOf(span)] as const)
    try {
      const tableVersion = await table.commit([], {
        info: {
          operation: 'STREAMING UPDATE',
          operationParameters: { outputMode: 'Append', units: String(landed.length) },
          isBlindAppend: true,
          operationMetrics: { numAddedFiles: String(adds.length), numOutputRows: String(rows) },
        },
        actions: [
          ...transactionsOf(offsets, clock.now()),
          ...schema.actions,
          ...adds.map((add) => ({ add })),
        ],
        check: (_winner, { metaData }) => {
          table.checkRules()
          const isMoved = starts.some(([source, offset]) => offsetOf(source) !== offset)
          if (isMoved || schema.isOutdatedBy(metaData)) throw new UnitsMoved()
        },
      })
      return { outcomes, tableVersion }
    } catch (error) {
      if (!(error instanceof UnitsMoved)) throw error
    }
  }
  throw new TailraceError(
    'COMMIT_CONTENDED',
    `The units were not landed: other commits landed ranges of the same blobs during all ${maxAttempts} attempts.`,
    { context: { attempts: maxAttempts } },
  )
}

/** Another commit changed the offsets or the schema that the units were chosen by. Caught in this file. */
class UnitsMoved extends Error {}

/**
 * Decides which units can land: a unit can when each of its ranges starts where its generation's offset is, or where the
 * range of a unit that lands ends. Of several units with the same ranges, the first one.
 *
 * @param offsetOf the table's offset of a generation
 * @param refusalOf why a unit cannot be landed whatever the offsets are
 * @returns the outcomes in the order of the units, and the new offsets
 */
export function judgeUnits(
  units: readonly WrittenUnit[],
  offsetOf: (source: BlobGeneration) => number | undefined,
  refusalOf: (unit: WrittenUnit) => string | undefined = () => undefined,
): { readonly outcomes: readonly UnitOutcome[]; readonly offsets: readonly LandedOffset[] } {
  const outcomes = units.map((unit): UnitOutcome | undefined => {
    const refused = refusalOf(unit)
    const isLanded = unit.spans.every((span) => (offsetOf(span) ?? 0) >= span.end)
    return isLanded ? 'landed-before' : refused === undefined ? undefined : { refused }
  })
  const moved = new Map<string, LandedOffset>()
  const current = (span: Span): number => moved.get(generationKey(span))?.offset ?? offsetOf(span) ?? 0
  // A unit may continue where one behind it in the list ends, so the list is gone through until nothing changes.
  for (let isChanged = true; isChanged; ) {
    isChanged = false
    for (const [index, { spans }] of units.entries()) {
      if (outcomes[index] !== undefined) continue
      if (spans.every((span) => current(span) >= span.end)) outcomes[index] = 'landed-before'
      else if (spans.every((span) => current(span) === span.start)) {
        outcomes[index] = 'landed'
        isChanged = true
        for (const { blob, generation, end } of spans)
          moved.set(generationKey({ blob, generation }), { blob, generation, offset: end })
      }
    }
  }
  return {
    outcomes: units.map(({ spans }, index) => outcomes[index] ?? { refused: gapOf(spans, current) }),
    offsets: [...moved.values()],
  }
}

function gapOf(spans: readonly Span[], current: (span: Span) => number): string {
  const span = spans.find((one) => current(one) !== one.start)!
  const offset = current(span)
  const what =
    offset < span.start
      ? 'the bytes between have not landed'
      : offset >= span.end
        ? 'this range has landed, and another one of the unit has not'
        : 'a part of this range has landed'
  return `${generationKey(span)} is landed to ${offset}, and the unit has ${span.start} to ${span.end}: ${what}`
}

/** Looks for the files of units: one that a vacuum removed would make the table unreadable. */
async function missingFiles(
  units: readonly WrittenUnit[],
  storage: DeltaStorage,
): Promise<ReadonlyMap<WrittenUnit, string>> {
  const folders = new Map<string, ReadonlyMap<string, number>>()
  const sizesIn = async (folder: string): Promise<ReadonlyMap<string, number>> => {
    const known = folders.get(folder)
    if (known !== undefined) return known
    const sizes = new Map<string, number>()
    for await (const page of storage.pages(folder)) for (const { name, bytes } of page) sizes.set(name, bytes)
    folders.set(folder, sizes)
    return sizes
  }
  const refusals = new Map<WrittenUnit, string>()
  for (const unit of units) {
    for (const file of unit.files) {
      if (!isAddAction(file)) {
        refusals.set(unit, 'the unit has a file of another kind of table')
        continue
      }
      const path = storagePath(file)
      const slash = path.lastIndexOf('/')
      const bytes = (await sizesIn(path.slice(0, Math.max(0, slash)))).get(path.slice(slash + 1))
      if (bytes !== file.size) refusals.set(unit, `its file ${path} is no longer there: write the unit again`)
    }
  }
  return refusals
}
