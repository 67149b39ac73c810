import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { judgeUnits } from '../judge-units.ts'
import type { UnitsReceipt, WrittenUnit } from '../table-committer.ts'
import { transactionsOf } from './log/offsets.ts'
import type { PipelineOffsets } from './pipeline-offsets.ts'
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
  pipelineOffsets: PipelineOffsets,
  units: readonly WrittenUnit[],
  { storage, clock }: { readonly storage: DeltaStorage; readonly clock: Clock },
): Promise<UnitsReceipt> {
  const missing = await missingFiles(units, storage)
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    await table.refresh()
    // An offset that a commit in between moves into the archive counts as moved: the next attempt finds it there.
    const offsetOf = await pipelineOffsets.offsetsOf(units.flatMap(({ spans }) => spans))
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
