import type { LogListing } from './log-listing.ts'

/** The versions of a table that its log still tells. */
export interface VersionRange {
  readonly first: number
  readonly last: number
}

/**
 * The versions that can be read: those of which every commit is there back to the first one, or to a checkpoint.
 *
 * @returns undefined when no version can be read
 */
export function readableVersions({ commits, checkpoints }: LogListing): VersionRange | undefined {
  const known = new Set(commits)
  const last = Math.max(commits.at(-1) ?? -1, checkpoints[0]?.version ?? -1)
  let begin = last + 1
  while (known.has(begin - 1)) begin -= 1
  const bases = checkpoints.map(({ version }) => version).filter((version) => version >= begin - 1)
  const first =
    begin === 0 ? 0 : bases.reduce((least, version) => Math.min(least, version), Number.POSITIVE_INFINITY)
  return last === -1 || first === Number.POSITIVE_INFINITY ? undefined : { first, last }
}
