import type { RecordTransform } from './record-transform.ts'
import { RecordRedaction } from './redaction/redact-record.ts'

export interface RedactLiteralsOptions {
  /** The text that replaces a literal. Default `?`. */
  readonly replacement?: string | undefined
  /** Keys, at any level, whose values are kept: for a record format of your own. Default none. */
  readonly keep?: readonly string[] | undefined
}

/**
 * Creates a transform that replaces the values in statements, in their parameters and in messages about them, so that
 * customer data and passwords do not reach the table. The column `raw` then has the redacted record.
 *
 * In a record of an unknown producer all texts and numbers are replaced; in a line that is no record, the whole text.
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
