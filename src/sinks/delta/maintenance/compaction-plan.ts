import type { AddAction, PartitionValues } from '../protocol/actions.ts'
import { isOutside } from '../protocol/deletion-vector.ts'

/** Files of one partition to merge into one. */
export interface CompactionGroup {
  readonly partitionValues: PartitionValues
  /** Oldest first; at least two. */
  readonly files: readonly AddAction[]
  readonly bytes: number
}

/** The merges to do in a table. */
export interface CompactionPlan {
  readonly groups: readonly CompactionGroup[]
  /** Small files that cannot be merged because their deletion vectors are outside of the table. */
  readonly refused: readonly AddAction[]
}

export interface CompactionRules {
  /** Desired file size. A file below half of it is small. */
  readonly targetBytes: number
  /**
   * Partitions with fewer small files stay unchanged, unless they are over and merging is worthwhile. At least 2.
   */
  readonly minFiles: number
  /** The table's root, as `DeltaStorage.location`. */
  readonly location: string
  /** The current UTC date `YYYY-MM-DD`, whose partition still grows; undefined when no partition grows. */
  readonly today?: string | undefined
}

/** Files merged at a time at most: each is open, and copied to this machine first if the table is in Azure. */
const maxGroupFiles = 500

/**
 * In a growing partition, a file counts as small only below this share of the target. Otherwise every compaction would
 * rewrite the previous one's result until it reaches the target.
 */
const growingShare = 1 / 8

/**
 * Decides which files of a table to merge.
 *
 * The files of a partition are packed in the order in which they were written, so that a merged file holds rows of few
 * hours, and a query about some time skips the others. Every small file is smaller than half the target, so every group but
 * the last is more than half full, and its merged file is no longer small. After the plan is carried out, the next plan is
 * empty, unless a partition has more small files than fit into one group.
 */
export function planCompaction(files: Iterable<AddAction>, rules: CompactionRules): CompactionPlan {
  const groups: CompactionGroup[] = []
  const refused: AddAction[] = []
  for (const partition of byPartition(files)) {
    const isOver = !mayGrow(partition[0]!, rules.today)
    const limitBytes = rules.targetBytes * (isOver ? 1 / 2 : growingShare)
    const small = partition.filter(({ size }) => size < limitBytes)
    const isFew = small.length < rules.minFiles
    if (isFew && !isOver) continue
    const isReadable = ({ deletionVector }: AddAction): boolean => !isOutside(deletionVector, rules.location)
    const readable = small.filter(isReadable)
    for (const group of packed(readable, rules.targetBytes))
      if (!isFew || isWorthwhile(group, limitBytes)) groups.push(group)
    if (!isFew) for (const file of small) if (!isReadable(file)) refused.push(file)
  }
  return { groups, refused }
}

/** @returns a key that is the same for equal partitions. An empty value equals NULL, as for every reader. */
export function partitionKey(values: PartitionValues): string {
  return JSON.stringify(
    Object.entries(values)
      .map(([name, value]) => [name, value || null] as const)
      .sort(([left], [right]) => (left < right ? -1 : 1)),
  )
}

function byPartition(files: Iterable<AddAction>): readonly (readonly AddAction[])[] {
  const partitions = new Map<string, AddAction[]>()
  for (const file of files) {
    const key = partitionKey(file.partitionValues)
    const known = partitions.get(key)
    if (known === undefined) partitions.set(key, [file])
    else known.push(file)
  }
  return [...partitions.values()]
}

/** Only a partition of a past date is complete, apart from late rows. */
function mayGrow({ partitionValues }: AddAction, today: string | undefined): boolean {
  if (today === undefined) return false
  return !Object.values(partitionValues).some(
    (value) => value !== null && /^\d{4}-\d\d-\d\d$/.test(value) && value < today,
  )
}

/** Left-over files of a partition that is over, which are merged before there are `minFiles` of them. */
const minLeftFiles = 10

/**
 * Whether few files are merged. Either the merged file is not small, so that its rows are written again once; or there are
 * some files, and the largest grows by at least a quarter, so that late rows do not have it written again and again.
 */
function isWorthwhile({ files, bytes }: CompactionGroup, limitBytes: number): boolean {
  const largest = files.reduce((max, { size }) => Math.max(max, size), 0)
  return bytes >= limitBytes || (files.length >= minLeftFiles && bytes >= 1.25 * largest)
}

function packed(files: readonly AddAction[], targetBytes: number): CompactionGroup[] {
  const groups: { readonly files: AddAction[]; bytes: number }[] = []
  for (const file of files.toSorted((left, right) => left.modificationTime - right.modificationTime)) {
    const last = groups.at(-1)
    if (last === undefined || last.files.length === maxGroupFiles || last.bytes + file.size > targetBytes) {
      groups.push({ files: [file], bytes: file.size })
    } else {
      last.files.push(file)
      last.bytes += file.size
    }
  }
  return groups
    .filter((group) => group.files.length > 1)
    .map((group) => ({ ...group, partitionValues: group.files[0]!.partitionValues }))
}
