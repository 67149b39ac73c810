import type { LandedOffset } from '../offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey, type Span } from '../records.ts'
import type { UnitOutcome, WrittenUnit } from './table-committer.ts'

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
