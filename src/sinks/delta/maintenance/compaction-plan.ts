import type { AddAction, PartitionValues } from '../protocol/actions.ts'
import { isOutside } from '../protocol/deletion-vector.ts'

/** Files of one partition that become one. */
export interface CompactionGroup {
  readonly partitionValues: PartitionValues
  /** The oldest first; at least two. */
  readonly files: readonly AddAction[]
  readonly bytes: number
}

/** What a compaction would do, partition by partition. */
export interface CompactionPlan {
  readonly groups: readonly CompactionGroup[]
  /** Files that are too small and stay, because their deletion vectors lie outside of the table. */
  readonly refused: readonly AddAction[]
}

export interface CompactionRules {
  /** What a file should come to. One is small below half of it. */
  readonly targetBytes: number
  /** Partitions with fewer small files stay as they are: at least 2. */
  readonly minFiles: number
  /** The table's root, as its storage states it. */
  readonly location: string
  /** The UTC date `YYYY-MM-DD` on which rows may still arrive; undefined when no partition grows. */
  readonly today?: string | undefined
}

/** The most files that become one at a time: each is open, and copied here first if it is far away. */
const maxGroupFiles = 500

/**
 * In a partition that grows, a file is left alone from this part of the target on. Otherwise each compaction would
 * write again what the one before it has written, until the target is reached.
 */
const growingShare = 1 / 8

/**
 * Decides which files of a table to make one.
 *
 * The files of a partition are packed by size, the largest first into the first group that has room. Each group but
 * the last is then two thirds full at least, so that what comes of it is no longer small: a plan that is carried out
 * leaves nothing to plan, unless a partition has more small files than one group takes.
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

/** One text for each partition; an empty value is NULL, as it is to every reader. */
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

/** Only a partition of a date that has passed is known to be complete but for late rows. */
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
  /** Bins before it have no room for another file, however small. */
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
