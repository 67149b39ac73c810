import type { RecordTransform } from './record-transform.ts'
import { RecordRedaction } from './redaction/redact-record.ts'

export interface RedactLiteralsOptions {
  /** The text that replaces a literal. Default `?`. */
  readonly replacement?: string | undefined
  /** Keys, at any level, whose values stay as they are: those of a format of your own. Default none. */
  readonly keep?: readonly string[] | undefined
}

/**
 * Replaces the values in statements, in their parameters and in the server's messages about them, so that customer
 * data and passwords do not reach the table. The column `raw` then holds the redacted record.
 *
 * Of a record of no known producer every text and number is replaced, and of a line that is no record the whole text.
 */
export function redactLiterals({
  replacement = '?',
  keep = [],
}: RedactLiteralsOptions = {}): RecordTransform {
  const redaction = new RecordRedaction({ replacement, keep: new Set(keep) })
  return Object.assign<RecordTransform, Pick<RecordTransform, 'rejectedText'>>(
    (record) => redaction.redact(record),
    { rejectedText: () => replacement },
  )
}
