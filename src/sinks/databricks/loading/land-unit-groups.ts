import { TailraceError } from '../../../errors.ts'
import type { IntendedFile } from '../../../offsets/load-intent.ts'
import { type BlobGeneration, generationKey, type Span } from '../../../records.ts'
import { isLandedBefore, judgeUnits } from '../../judge-units.ts'
import type { UnitsReceipt, WrittenUnit } from '../../table-committer.ts'
import { folderOf } from '../staging/staged-files.ts'
import type { StoredUnits, UnitGroup, UnitLimits } from './row-loader.ts'

/** Times that units are judged in vain, because another process lands ranges of the same blobs. */
const maxAttempts = 10

/** A table that units are landed in, one group after the other. */
export interface UnitTarget {
  readonly files: StoredUnits
  readonly limits: UnitLimits
  /** Reads the offsets that other processes have moved; absent where there are none. */
  refresh?(): Promise<void>
  /** The table's offset of a generation, current after `refresh` and `land`. */
  readonly offsetOf: (source: BlobGeneration) => number | undefined
  /** @returns why nothing of a unit can be landed, as a sentence; undefined when it can */
  refusalOf?(unit: WrittenUnit): string | undefined
  /**
   * Lands units and moves the offsets.
   *
   * @returns false when another process has moved an offset or removed the files: nothing is landed then
   */
  land(group: UnitGroup): Promise<boolean>
  /** Called when units have landed, also before an error: begins work that nobody waits for. */
  readonly onLanded: () => void
}

/**
 * Lands the units that continue the offsets, in as few groups as the limits allow. Each group lands whole. A repetition
 * skips units that have landed.
 *
 * @throws COMMIT_CONTENDED when other processes land ranges of the same blobs all the time; groups may have landed
 */
export async function landUnitGroups(
  units: readonly WrittenUnit[],
  target: UnitTarget,
): Promise<UnitsReceipt> {
  const landed = new Set<WrittenUnit>()
  try {
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      await target.refresh?.()
      const missing = await target.files.missing(
        units.filter((unit) => !isLandedBefore(unit, target.offsetOf)),
      )
      const { outcomes, landing } = judgeUnits(
        units,
        target.offsetOf,
        (unit) => missing.get(unit) ?? tooManyFiles(unit, target.limits) ?? target.refusalOf?.(unit),
      )
      if (await landInTurn(landing, target, landed)) {
        return { outcomes: units.map((unit, index) => (landed.has(unit) ? 'landed' : outcomes[index]!)) }
      }
    }
  } finally {
    if (landed.size > 0) {
      target.onLanded()
      // Awaited, because `close` gives the background seconds, and a commit may have thousands of files.
      await target.files.removeLanded([...landed])
    }
  }
  throw new TailraceError(
    'COMMIT_CONTENDED',
    `Units were not landed: other processes landed ranges of the same blobs during all ${maxAttempts} attempts.`,
    { context: { attempts: maxAttempts, landed: landed.size } },
  )
}

/**
 * @param landed receives the units of each group that is landed
 * @returns whether all are; otherwise the offsets have moved, and the units have to be judged again
 */
async function landInTurn(
  landing: readonly WrittenUnit[],
  target: UnitTarget,
  landed: Set<WrittenUnit>,
): Promise<boolean> {
  let rest = landing.map((unit) => ({ unit, files: target.files.filesOf(unit) }))
  for (; rest.length > 0; rest = rest.filter(({ unit }) => !landed.has(unit))) {
    const { units, group } = nextGroup(rest, target)
    // `land` may have read offsets that another process has moved meanwhile, so that no unit continues them any more.
    if (units.length === 0) return false
    if (!(await target.land(group))) return false
    for (const unit of units) landed.add(unit)
  }
  return true
}

interface UnitWithFiles {
  readonly unit: WrittenUnit
  readonly files: readonly IntendedFile[]
}

/** @param rest in an order in which each unit can land after those before it */
function nextGroup(
  rest: readonly UnitWithFiles[],
  { limits, offsetOf }: UnitTarget,
): { readonly units: readonly WrittenUnit[]; readonly group: UnitGroup } {
  const { maxFiles, maxRanges, isOneStatement } = limits
  const units: WrittenUnit[] = []
  const spans = new Map<string, Span>()
  const taken: IntendedFile[] = []
  let rows = 0
  for (const { unit, files: own } of rest) {
    if (taken.length >= maxFiles) break
    const isInFolder =
      own.length === 0 || taken.length === 0 || folderOf(own[0]!.name) === folderOf(taken[0]!.name)
    const fits =
      units.length === 0 ||
      (taken.length + own.length <= maxFiles &&
        (isInFolder || !isOneStatement) &&
        addsAtMost(maxRanges - spans.size, unit, spans))
    if (!fits) continue
    const follows = unit.spans.every(
      (span) => (spans.get(generationKey(span))?.end ?? offsetOf(span) ?? 0) === span.start,
    )
    if (!follows) continue
    units.push(unit)
    for (const span of unit.spans) {
      const start = spans.get(generationKey(span))?.start ?? span.start
      spans.set(generationKey(span), { ...span, start })
    }
    for (const file of own) taken.push(file)
    rows += unit.rows
  }
  return { units, group: { spans: [...spans.values()], files: taken, rows } }
}

/**
 * Whether a unit adds at most `count` ranges. It counts no further than that, because it is asked of all remaining units for
 * each group, and a unit may have thousands of ranges.
 */
function addsAtMost(count: number, { spans }: WrittenUnit, known: ReadonlyMap<string, Span>): boolean {
  let added = 0
  return spans.every((span) => {
    if (!known.has(generationKey(span))) added += 1
    return added <= count
  })
}

function tooManyFiles({ files }: WrittenUnit, { maxFiles, isOneStatement }: UnitLimits): string | undefined {
  if (!isOneStatement || files.length <= maxFiles) return undefined
  return `its ${files.length} files are more than the ${maxFiles} that one statement loads: write it again with a larger batch.maxBytes and batch.maxRows`
}
