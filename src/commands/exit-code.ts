import { TailraceError } from '../errors.ts'
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

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Node.js timers cannot be longer. */
const maxTimerMs = 2 ** 31 - 1

/**
 * Reads a duration such as `90s`, `10m` or `2h`.
 *
 * @throws USAGE naming the flag
 */
export function parseDurationMs(text: string, flag: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  const value = Number(digits) * (unitsMs[unit] ?? Number.NaN)
  if (value > 0 && value <= maxTimerMs) return value
  throw new TailraceError(
    'USAGE',
    `${flag}: found ${text}, expected a duration up to 24d, such as 90s, 10m or 2h.`,
  )
}
