/** The fields of a line of the JSON log. */
export interface LogFields extends Readonly<Record<string, unknown>> {
  readonly level?: unknown
  readonly time?: unknown
  readonly msg?: unknown
}

/** @returns the fields of a line; one whose masked text is no JSON any more becomes a message as it is */
export function parsedLogLine(line: string): LogFields {
  try {
    return JSON.parse(line) as LogFields
  } catch {
    return { level: 'info', msg: line.trimEnd() }
  }
}
