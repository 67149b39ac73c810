import type { LandedOffset } from '../offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey, type Span } from '../records.ts'
import type { UnitOutcome, WrittenUnit } from './table-committer.ts'

/**
 * Decides which units can land: a unit can when each of its ranges starts where its generation's offset is, or where the
 * range of a unit that lands ends. Of several units with the same ranges, the first one.
 *
 * @param offsetOf the table's offset of a generation
 * @param refusalOf why a unit cannot be landed whatever the offsets are
 * @returns the outcomes in the order of the units, the new offsets, and the units that land, each behind those that it
 * continues
 */
export function judgeUnits(
  units: readonly WrittenUnit[],
  offsetOf: (source: BlobGeneration) => number | undefined,
  refusalOf: (unit: WrittenUnit) => string | undefined = () => undefined,
): {
  readonly outcomes: readonly UnitOutcome[]
  readonly offsets: readonly LandedOffset[]
  readonly landing: readonly WrittenUnit[]
} {
  const outcomes = units.map((unit): UnitOutcome | undefined => {
    const refused = refusalOf(unit)
    return isLandedBefore(unit, offsetOf) ? 'landed-before' : refused === undefined ? undefined : { refused }
  })
  const landing: WrittenUnit[] = []
  const moved = new Map<string, LandedOffset>()
  const current = (span: Span): number => moved.get(generationKey(span))?.offset ?? offsetOf(span) ?? 0
  // In this order one pass is enough for units of one range. One of several may continue where a later one ends, so the
  // list is gone through until nothing changes.
  const ordered = [...units.entries()].sort(([, a], [, b]) => startOf(a) - startOf(b))
  for (let isChanged = true; isChanged; ) {
    isChanged = false
    for (const [index, unit] of ordered) {
      const { spans } = unit
      if (outcomes[index] !== undefined) continue
      if (spans.every((span) => current(span) >= span.end)) outcomes[index] = 'landed-before'
      else if (spans.every((span) => current(span) === span.start)) {
        outcomes[index] = 'landed'
        landing.push(unit)
        isChanged = true
        for (const { blob, generation, end } of spans)
          moved.set(generationKey({ blob, generation }), { blob, generation, offset: end })
      }
    }
  }
  return {
    outcomes: units.map(({ spans }, index) => outcomes[index] ?? { refused: gapOf(spans, current) }),
    offsets: [...moved.values()],
    landing,
  }
}

/** @returns whether all ranges of a unit are below the table's offsets */
export function isLandedBefore(
  { spans }: WrittenUnit,
  offsetOf: (source: BlobGeneration) => number | undefined,
): boolean {
  return spans.every((span) => (offsetOf(span) ?? 0) >= span.end)
}

function startOf({ spans: [first] }: WrittenUnit): number {
  return first?.start ?? 0
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
