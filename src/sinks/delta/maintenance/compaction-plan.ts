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
  /** Partitions with fewer small files stay unchanged. At least 2. */
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
 * The files of a partition are packed by size, largest first, each into the first group with room. So every group but
 * the last is at least two thirds full, and its merged file is no longer small. After the plan is carried out, the next
 * plan is empty, unless a partition has more small files than fit into one group.
 */
export function planCompaction(files: Iterable<AddAction>, rules: CompactionRules): CompactionPlan {
  const groups: CompactionGroup[] = []
  const refused: AddAction[] = []
  for (const partition of byPartition(files)) {
    const limitBytes = rules.targetBytes * (mayGrow(partition[0]!, rules.today) ? growingShare : 1 / 2)
    const small = partition.filter(({ size }) => size < limitBytes)
    if (small.length < rules.minFiles) continue
    const isRefused = ({ deletionVector }: AddAction) => isOutside(deletionVector, rules.location)
    const readable: AddAction[] = []
    for (const file of small) (isRefused(file) ? refused : readable).push(file)
    for (const group of packed(readable, rules.targetBytes)) groups.push(group)
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

interface Bin {
  readonly files: AddAction[]
  bytes: number
}

function packed(files: readonly AddAction[], targetBytes: number): CompactionGroup[] {
  const bins: Bin[] = []
  // Bins before it have the maximum number of files.
  let firstOpen = 0
  for (const file of files.toSorted((left, right) => right.size - left.size)) {
    while (firstOpen < bins.length && bins[firstOpen]!.files.length >= maxGroupFiles) firstOpen += 1
    let index = firstOpen
    while (index < bins.length && !hasRoom(bins[index]!, file, targetBytes)) index += 1
    const bin = bins[index]
    if (bin === undefined) bins.push({ files: [file], bytes: file.size })
    else {
      bin.files.push(file)
      bin.bytes += file.size
    }
  }
  return bins
    .filter((bin) => bin.files.length > 1)
    .map((bin) => ({
      partitionValues: bin.files[0]!.partitionValues,
      files: bin.files.toSorted((left, right) => left.modificationTime - right.modificationTime),
      bytes: bin.bytes,
    }))
}

function hasRoom({ files, bytes }: Bin, file: AddAction, targetBytes: number): boolean {
  return files.length < maxGroupFiles && bytes + file.size <= targetBytes
}
