import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { generationKey } from '../../records.ts'
import { judgeUnits } from '../judge-units.ts'
import type { UnitsReceipt, WrittenUnit } from '../table-committer.ts'
import { generationOf, transactionsOf } from './log/offsets.ts'
import type { PipelineOffsets } from './pipeline-offsets.ts'
import { type AddAction, type DeltaCommit, isAddAction, storagePath } from './protocol/actions.ts'
import { fileRetentionMs } from './protocol/file-retention.ts'
import { SchemaPlan } from './protocol/schema.ts'
import type { DeltaStorage, StoredObject } from './storage/delta-storage.ts'
import type { DeltaTable } from './table.ts'

/** Attempts to choose the units; each is invalidated by another commit to the same blobs, or to the schema. */
const maxAttempts = 10

const hourMs = 3_600_000

/**
 * A file is refused so long before a vacuum may delete it. A vacuum deletes by the log that it read when it began, so a file
 * that is named while it runs is deleted nevertheless. Longer than any vacuum, and than the clocks of two machines differ.
 */
const vacuumMarginMs = 24 * hourMs

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
  const found = await findFiles(units, storage)
  const refusalOf = (unit: WrittenUnit): string | undefined => {
    const { refused, oldest } = found.get(unit) ?? {}
    return refused ?? (oldest && refusalOfAge(oldest, fileRetentionMs(table.state.metaData), clock.now()))
  }
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    await table.refresh()
    const offsetOf = await pipelineOffsets.offsetsOf(units.flatMap(({ spans }) => spans))
    const { outcomes, offsets } = judgeUnits(units, offsetOf, (unit) => refusalOf(unit))
    const landed = units.filter((_, index) => outcomes[index] === 'landed')
    if (landed.length === 0) return { outcomes, tableVersion: table.state.version }
    const adds = landed.flatMap(({ files }) => files) as unknown as AddAction[]
    const rows = landed.reduce((sum, unit) => sum + unit.rows, 0)
    const schema = adds.length > 0 ? table.planSchema() : new SchemaPlan(table.state.metaData, [])
    const starts = new Set(landed.flatMap(({ spans }) => spans).map(generationKey))
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
        check: (winner, { metaData }) => {
          table.checkRules()
          if (landsOneOf(winner, starts) || schema.isOutdatedBy(metaData)) throw new UnitsMoved()
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
 * Whether a commit has an offset of one of these generations. Asked of the commit itself: the table's offsets do not show it
 * once a later commit has moved the offset into the archive.
 */
function landsOneOf({ actions }: DeltaCommit, keys: ReadonlySet<string>): boolean {
  return actions.some((action) => {
    const source = 'txn' in action ? generationOf(action.txn) : undefined
    return source !== undefined && keys.has(generationKey(source))
  })
}

/** The files of a unit in the table's storage. */
interface FoundFiles {
  /** Why the unit cannot be landed: one that a vacuum removed would make the table unreadable. */
  readonly refused?: string | undefined
  /** Absent for a unit without files. */
  readonly oldest?: { readonly path: string; readonly modifiedMs: number } | undefined
}

async function findFiles(
  units: readonly WrittenUnit[],
  storage: DeltaStorage,
): Promise<ReadonlyMap<WrittenUnit, FoundFiles>> {
  type Objects = ReadonlyMap<string, StoredObject>
  const folders = new Map<string, Objects>()
  const objectsIn = async (folder: string): Promise<Objects> => {
    const known = folders.get(folder)
    if (known !== undefined) return known
    const objects = new Map<string, StoredObject>()
    for await (const page of storage.pages(folder)) for (const one of page) objects.set(one.name, one)
    folders.set(folder, objects)
    return objects
  }
  const filesOf = async ({ files }: WrittenUnit): Promise<FoundFiles> => {
    let oldest: FoundFiles['oldest']
    for (const file of files) {
      if (!isAddAction(file)) return { refused: 'the unit has a file of another kind of table' }
      const path = storagePath(file)
      const slash = path.lastIndexOf('/')
      const object = (await objectsIn(path.slice(0, Math.max(0, slash)))).get(path.slice(slash + 1))
      if (object?.bytes !== file.size)
        return { refused: `its file ${path} is no longer there: write the unit again` }
      const { modifiedMs } = object
      if (oldest === undefined || modifiedMs < oldest.modifiedMs) oldest = { path, modifiedMs }
    }
    return { oldest }
  }
  const found = new Map<WrittenUnit, FoundFiles>()
  for (const unit of units) found.set(unit, await filesOf(unit))
  return found
}

function refusalOfAge(
  { path, modifiedMs }: { readonly path: string; readonly modifiedMs: number },
  retentionMs: number,
  nowMs: number,
): string | undefined {
  const maxAgeMs = Math.max(retentionMs - vacuumMarginMs, retentionMs / 2)
  const ageMs = nowMs - modifiedMs
  if (ageMs <= maxAgeMs) return undefined
  const [age, maxAge] = [ageMs, maxAgeMs].map((ms) => Math.floor((10 * ms) / hourMs) / 10)
  return `its file ${path} is ${age} hours old, and a vacuum may be about to delete it: write the unit again, and commit it within ${maxAge} hours`
}
