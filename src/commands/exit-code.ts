import type { Logger } from '../reporting/logger.ts'

/** Exit codes of commands, without those of signals. `tailrace --help` and docs/operations.md list them. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  /** A source has no blob. */
  nothingFound: 3,
  /** `--max-duration` stopped an incomplete run. */
  timeUp: 4,
} as const

/**
 * Reports sources without a blob: the cause is more often a misspelled name than an empty container.
 *
 * @param names pipelines whose sources have no blob
 * @returns the exit code
 */
export function codeOfEmptySources(
  names: readonly string[],
  { allowEmpty, logger }: { readonly allowEmpty: boolean | undefined; readonly logger: Logger },
): number {
  if (names.length === 0 || allowEmpty === true) return exitCodes.done
  logger.error(
    { pipelines: names },
    'no blob was found for these pipelines; use --allow-empty if that is expected',
  )
  return exitCodes.nothingFound
}
