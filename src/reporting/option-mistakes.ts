import type { z } from 'zod'

/**
 * Runs a check between some options of an object although other options have mistakes. By itself, zod skips such a check
 * until every option of the object is valid, so a user would see its mistake only after correcting the others.
 *
 * @param options the options that the check reads: it is skipped when one of them has a mistake
 */
export function besideOthers(...options: readonly string[]): {
  readonly when: (payload: z.core.ParsePayload) => boolean
} {
  return {
    when: ({ value, issues }) =>
      typeof value === 'object' &&
      value !== null &&
      !issues.some(({ path }) => options.includes(String(path?.[0]))),
  }
}

/**
 * The message of an option that is smaller than another one.
 *
 * @param minimum name of the other option
 * @param place prefix of its name, such as `disk.`
 */
export function tooSmall(input: unknown, option: string, minimum: string, place = ''): string {
  const values = input as Readonly<Record<string, unknown>>
  return `found ${values[option]}, expected at least ${place}${minimum} (${values[minimum]})`
}
