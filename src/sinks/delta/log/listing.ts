/** The files that make up one complete checkpoint. */
export interface CheckpointFiles {
  readonly version: number
  /** Names in `_delta_log`: one, or every part in order. */
  readonly names: readonly string[]
  readonly format: 'parquet' | 'json'
}

/** The commits and checkpoints that a `_delta_log` folder holds, by the names of its files. */
export interface LogListing {
  /** Versions with a commit file, ascending. */
  readonly commits: readonly number[]
  /** Complete checkpoints, newest first. Within one version, single-file checkpoints come before multi-part ones. */
  readonly checkpoints: readonly CheckpointFiles[]
}

const commitName = /^(\d{20})\.json$/
const checksumName = /^(\d{20})\.crc$/
const compactedName = /^(\d{20})\.\d{20}\.compacted\.json$/
const classicName = /^(\d{20})\.checkpoint\.parquet$/
const partName = /^(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet$/
const uuidName = /^(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(json|parquet)$/i

/** The kind of a log file and its version. A compaction covers a range of versions; `version` is the first of them. */
export type LogFile = {
  readonly version: number
  readonly kind: 'commit' | 'checksum' | 'compaction' | 'checkpoint'
}

/** @returns undefined for a name that belongs to no log file, such as `_last_checkpoint` or another program's file. */
export function logFile(name: string): LogFile | undefined {
  const kinds = [
    [commitName, 'commit'],
    [checksumName, 'checksum'],
    [compactedName, 'compaction'],
    [classicName, 'checkpoint'],
    [partName, 'checkpoint'],
    [uuidName, 'checkpoint'],
  ] as const
  for (const [pattern, kind] of kinds) {
    const version = pattern.exec(name)?.[1]
    if (version !== undefined) return { version: Number(version), kind }
  }
  return undefined
}

/**
 * Finds the commits and complete checkpoints among the names of a log folder.
 *
 * Ignores checksums, compactions, folders and unknown files. Also ignores a multi-part checkpoint with a missing
 * part: it may be half written or half deleted.
 */
export function logListing(names: readonly string[]): LogListing {
  const commits = names.flatMap((name) => commitName.exec(name)?.[1] ?? []).map(Number)
  const single = names.flatMap((name): CheckpointFiles[] => {
    const classic = classicName.exec(name)
    if (classic) return [{ version: Number(classic[1]), names: [name], format: 'parquet' }]
    const uuid = uuidName.exec(name)
    if (uuid) return [{ version: Number(uuid[1]), names: [name], format: formatOf(name) }]
    return []
  })
  return {
    commits: commits.sort((left, right) => left - right),
    // Single files come first in the input, and the sort is stable.
    checkpoints: [...single, ...completeSets(names)].sort((left, right) => right.version - left.version),
  }
}

/** @returns the part of a listing up to and including a version. */
export function upTo({ commits, checkpoints }: LogListing, version: number): LogListing {
  return {
    commits: commits.filter((one) => one <= version),
    checkpoints: checkpoints.filter((one) => one.version <= version),
  }
}

function completeSets(names: readonly string[]): CheckpointFiles[] {
  const sets = new Map<string, Map<number, string>>()
  for (const name of names) {
    const [, version, index, count] = partName.exec(name) ?? []
    if (version === undefined) continue
    const key = `${version}/${count}`
    sets.set(key, (sets.get(key) ?? new Map()).set(Number(index), name))
  }
  return Array.from(sets).flatMap(([key, parts]): CheckpointFiles[] => {
    const [version, count] = key.split('/').map(Number)
    const ordered = Array.from({ length: count! }, (_, index) => parts.get(index + 1))
    const complete = ordered.every((name) => name !== undefined)
    return complete ? [{ version: version!, names: ordered, format: 'parquet' }] : []
  })
}

function formatOf(name: string): 'parquet' | 'json' {
  return name.toLowerCase().endsWith('.json') ? 'json' : 'parquet'
}

/** The versions of a table that can still be read from its log. */
export interface VersionRange {
  readonly first: number
  readonly last: number
}

/**
 * Finds the versions that can be read: every commit file must exist back to version 0 or to a complete checkpoint.
 *
 * @returns undefined when no version can be read
 */
export function readableVersions({ commits, checkpoints }: LogListing): VersionRange | undefined {
  const { begin, last } = newestRun({ commits, checkpoints })
  const bases = checkpoints.map(({ version }) => version).filter((version) => version >= begin - 1)
  const first =
    begin === 0 ? 0 : bases.reduce((least, version) => Math.min(least, version), Number.POSITIVE_INFINITY)
  return last === -1 || first === Number.POSITIVE_INFINITY ? undefined : { first, last }
}

/** @returns the version whose missing commit file makes every version unreadable; undefined without log files */
export function missingCommit(listing: LogListing): number | undefined {
  const { begin, last } = newestRun(listing)
  return last === -1 ? undefined : begin - 1
}

/** The newest version, and the first version from which on every commit file exists. */
function newestRun({ commits, checkpoints }: LogListing): {
  readonly begin: number
  readonly last: number
} {
  const known = new Set(commits)
  const last = Math.max(commits.at(-1) ?? -1, checkpoints[0]?.version ?? -1)
  let begin = last + 1
  while (known.has(begin - 1)) begin -= 1
  return { begin, last }
}
