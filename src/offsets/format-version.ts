import { TailraceError } from '../errors.ts'

/**
 * Refuses what a newer release wrote in a format that this one does not know, because acting on a part of it could land
 * rows twice.
 *
 * @param found the format version as it was read; anything but a larger number is left to the reader's own checks
 * @param known the newest format version that this release reads
 * @param subject the file or table, with which the message begins
 * @throws FORMAT_TOO_NEW
 */
export function requireFormat(found: unknown, known: number, subject: string): void {
  const number = typeof found === 'string' ? Number(found) : found
  if (typeof number !== 'number' || !(number > known)) return
  throw new TailraceError(
    'FORMAT_TOO_NEW',
    `${subject} has format ${number}, of a newer release; this one knows formats up to ${known}. Run the newer release again.`,
    { context: { found: number, known } },
  )
}
