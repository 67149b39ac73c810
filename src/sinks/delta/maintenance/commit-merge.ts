import type { WrittenFile } from '../../duckdb.ts'
import { type CommitContext, commit, mayBeVisible } from '../commit-loop.ts'
import { type AddAction, type DeltaCommit, type PartitionValues, removalOf } from '../delta-action.ts'
import { moveIn, moveOut, type PlacedFile, placeFile } from '../file-placement.ts'
import { indexedColumns } from '../file-statistics.ts'
import type { TableState } from '../table-state.ts'
import type { CompactionGroup } from './compaction-plan.ts'

/** Says that a merge no longer fits the table, because another commit came first; nothing of it is visible. */
export class MergeOvertaken extends Error {}

/**
 * Puts a merged file into the table in the place of those that it was made of, in one commit.
 *
 * Appends that came first do not matter. Offsets are not touched.
 *
 * @param written undefined when the files had no rows, and are only removed
 * @returns the new file
 * @throws MergeOvertaken when one of the files was removed meanwhile or the table's rules are others by now;
 * the merged file is where it was staged then, as after any error but COMMIT_UNKNOWN
 */
export async function commitMerge(
  state: TableState,
  group: CompactionGroup,
  written: WrittenFile | undefined,
  context: CommitContext,
): Promise<AddAction | undefined> {
  const { storage, clock } = context
  const { protocol, metaData } = state
  const placed = placedFiles(written, state, clock.now())
  const inputs = new Set(group.files.map(({ path }) => path))
  await moveIn(storage, placed)
  try {
    await commit(
      state,
      {
        info: {
          operation: 'OPTIMIZE',
          operationParameters: {
            predicate: JSON.stringify([partitionPredicate(group.partitionValues)]),
            zOrderBy: '[]',
          },
          isBlindAppend: false,
          operationMetrics: {
            numRemovedFiles: String(group.files.length),
            numRemovedBytes: String(group.bytes),
            numAddedFiles: String(placed.length),
            numAddedBytes: String(written?.bytes ?? 0),
            numOutputRows: String(written?.rows ?? 0),
          },
        },
        actions: [
          ...group.files.map((file) => ({ remove: removalOf(file, clock.now(), false) })),
          ...placed.map(({ add }) => ({ add })),
        ],
        check: (winner, now) => {
          const sameRules = now.protocol === protocol && now.metaData === metaData
          if (!sameRules || removesAny(winner, inputs)) throw new MergeOvertaken()
        },
      },
      context,
    )
  } catch (error) {
    if (!mayBeVisible(error)) await moveOut(storage, placed)
    throw error
  }
  return placed[0]?.add
}

function placedFiles(
  written: WrittenFile | undefined,
  { metaData }: TableState,
  nowMs: number,
): PlacedFile[] {
  const { partitionColumns } = metaData
  const placed = written && placeFile(written, partitionColumns, indexedColumns(metaData), nowMs)
  return placed === undefined ? [] : [{ ...placed, add: { ...placed.add, dataChange: false } }]
}

function removesAny({ actions }: DeltaCommit, paths: ReadonlySet<string>): boolean {
  return actions.some((action) => 'remove' in action && paths.has(action.remove.path))
}

/** For people who look at the table's history. */
function partitionPredicate(values: PartitionValues): string {
  return Object.entries(values)
    .map(([name, value]) => (value ? `${name} = '${value}'` : `${name} IS NULL`))
    .join(' AND ')
}
