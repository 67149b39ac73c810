/** What a pipeline does after an error of a code: try again, or stop. */
export type Disposition = 'retry' | 'halt'

/** The properties shared by all errors of one code. */
export interface ErrorRule {
  readonly disposition: Disposition
  /** What to do about the error. One sentence. */
  readonly hint: string
}

/** All error codes. Codes are never renamed; docs/errors.md has a heading for each. */
export const errors = {
  CONFIG_INVALID: { disposition: 'halt', hint: 'Fix the listed options.' },
  CONFIG_UNREADABLE: {
    disposition: 'halt',
    hint: 'Check the path, and that Node.js can run the file without Tailrace.',
  },
  USAGE: { disposition: 'halt', hint: 'See tailrace --help.' },
  PACKAGE_MISSING: {
    disposition: 'halt',
    hint: 'Install the named package where Tailrace is installed.',
  },
  SOURCE_MISSING: {
    disposition: 'halt',
    hint: 'Check the names of the container and of the account.',
  },
  SOURCE_DENIED: {
    disposition: 'halt',
    hint: 'Provide the access that the message names: a role, a permission, a new key or SAS, a network rule.',
  },
  SOURCE_UNAVAILABLE: {
    disposition: 'retry',
    hint: 'Storage is throttling or unreachable; reading continues when it answers.',
  },
  SOURCE_UNSUPPORTED: {
    disposition: 'halt',
    hint: 'Write append or block blobs that hold NDJSON, plain or gzip, or `records` documents.',
  },
  SPAN_GAP: {
    disposition: 'halt',
    hint: 'Bytes were skipped or read twice, which is a bug: please report it.',
  },
  TRANSFORM_HELD_RECORD: {
    disposition: 'halt',
    hint: 'A stream transform must push all results of a record before it calls back.',
  },
  DISK_FULL: {
    disposition: 'retry',
    hint: 'Free space on the volume; the stream waits, and no data is lost.',
  },
  ENCODE_FAILED: {
    disposition: 'halt',
    hint: 'Check that the volume of the state directory can be written, and that the process has enough memory. Nothing of the batch was committed.',
  },
  ENGINE_FAILED: {
    disposition: 'halt',
    hint: "Give the process more memory, or free some; the cause has the engine's own message.",
  },
  DIRECTORY_UNUSABLE: {
    disposition: 'halt',
    hint: 'Set a directory that this process can write: stateDirectory in the config, TMPDIR for temporary files.',
  },
  TABLE_UNSUPPORTED: {
    disposition: 'halt',
    hint: 'Use another table location, or a table without the feature that the message names.',
  },
  TABLE_SCHEMA_MISMATCH: {
    disposition: 'halt',
    hint: 'Use a table with the columns of the declaration, or change the declaration.',
  },
  TABLE_MISSING: {
    disposition: 'halt',
    hint: 'Restore the table, or land everything again as docs/errors.md describes.',
  },
  TABLE_DENIED: { disposition: 'halt', hint: "Grant permission to read and write the table's location." },
  TABLE_UNAVAILABLE: {
    disposition: 'retry',
    hint: "The table's storage fails or is unreachable; commits continue when it answers.",
  },
  TABLE_CORRUPT: {
    disposition: 'halt',
    hint: 'Restore the file that the message names from a backup; nothing was written.',
  },
  TABLE_VERSION_UNAVAILABLE: {
    disposition: 'halt',
    hint: 'Use one of the versions that tailrace history lists.',
  },
  TABLE_TOO_LARGE: {
    disposition: 'halt',
    hint: 'Query this table with an engine that reads the storage itself, such as Spark.',
  },
  COMMIT_FENCED: {
    disposition: 'halt',
    hint: 'Another process lands the same blobs in this table: stop one, or let it wait for the other.',
  },
  COMMIT_CONTENDED: {
    disposition: 'retry',
    hint: 'Too many processes write to the table at once; the commit is retried.',
  },
  COMMIT_UNKNOWN: {
    disposition: 'halt',
    hint: 'Restart when storage answers again: the table shows whether the commit took place.',
  },
  WAREHOUSE_UNAVAILABLE: {
    disposition: 'retry',
    hint: 'The warehouse is starting, busy or unreachable; loading continues when it answers.',
  },
  WAREHOUSE_DENIED: {
    disposition: 'halt',
    hint: 'Grant the principal the permission that the message names; docs/databricks.md lists all that a pipeline needs.',
  },
  WAREHOUSE_MISSING: {
    disposition: 'halt',
    hint: "Set sink.httpPath to the HTTP path that the warehouse's connection details show in the workspace.",
  },
  STATEMENT_FAILED: {
    disposition: 'halt',
    hint: "Find the query in the workspace's query history by the id in the message; without an id there was none, and the message says what the service refused.",
  },
  LOAD_UNCLEAR: {
    disposition: 'halt',
    hint: 'Compare the rows of the ranges that the message names with the blobs, then end the load with tailrace intent discard.',
  },
  OFFSETS_HANDED_OVER: {
    disposition: 'halt',
    hint: 'Find the process that lands this pipeline in another mode and stop one of the two; a start of this one lands by transactions again.',
  },
  OFFSETS_SET_BACK: {
    disposition: 'halt',
    hint: 'Restore the newest version of the offsets table; the message says what else ends it.',
  },
  STATE_LOCKED: {
    disposition: 'halt',
    hint: 'Stop the other process, or give this one its own state directory and pipeline name.',
  },
  OFFSET_FILE_CORRUPT: {
    disposition: 'halt',
    hint: 'The offsets in the table are used, and the file is rebuilt from them.',
  },
  FORMAT_TOO_NEW: {
    disposition: 'halt',
    hint: 'Run the newer release again; docs/operations.md describes the way back to an older one.',
  },
  RETENTION_REFUSED: {
    disposition: 'halt',
    hint: 'Check the clocks of this machine and of the storage; tailrace retain --allow-empty deletes every day.',
  },
  UNIT_INVALID: {
    disposition: 'halt',
    hint: 'Pass what tailrace plan or tailrace write printed, with the config that they had.',
  },
  UNIT_REFUSED: {
    disposition: 'halt',
    hint: 'Plan again: tailrace plan prints what has not landed by now.',
  },
  REPLAY_OUT_OF_RANGE: {
    disposition: 'halt',
    hint: 'Replay only bytes that have landed; tailrace status shows the offset of each blob.',
  },
  REPLAY_NOT_A_LINE_START: {
    disposition: 'halt',
    hint: 'Use one of the line starts that the message names.',
  },
  TELEMETRY_UNAVAILABLE: {
    disposition: 'retry',
    hint: 'The receiver of telemetry does not answer; landing goes on, and records that cannot be sent are dropped.',
  },
  TELEMETRY_REFUSED: {
    disposition: 'halt',
    hint: 'Check the address, the headers and the rights of telemetry; landing goes on without it.',
  },
  UNEXPECTED: {
    disposition: 'halt',
    hint: 'This is a bug of Tailrace, of a transform or of the config: please report it with the lines above.',
  },
  QUERY_FAILED: {
    disposition: 'halt',
    hint: 'Check the statement; each table has the name that the config gives it.',
  },
  QUERY_REFUSED: {
    disposition: 'halt',
    hint: 'Use one statement that only reads; --unsafe runs any statement, with the permissions of this process.',
  },
  QUERY_BUSY: {
    disposition: 'retry',
    hint: 'Wait for a running statement to end, or cancel it.',
  },
  PAGE_UNAVAILABLE: {
    disposition: 'halt',
    hint: 'Choose another address for the page: page.port and page.host, or TAILRACE_PAGE_PORT and TAILRACE_PAGE_HOST.',
  },
  OUTPUT_FAILED: {
    disposition: 'halt',
    hint: 'Check the destination that the message names, such as its free space.',
  },
} as const satisfies Record<string, ErrorRule>

/** A stable error code. */
export type ErrorCode = keyof typeof errors

/** Numbers and names that locate an error; never record content, never a secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | undefined>>

/** The only error class of Tailrace. Match on `code`. */
export class TailraceError extends Error {
  readonly code: ErrorCode
  readonly context: ErrorContext

  constructor(code: ErrorCode, message: string, options: { context?: ErrorContext; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TailraceError'
    this.code = code
    this.context = options.context ?? {}
  }

  /** What to do about the error. */
  get hint(): string {
    return errors[this.code].hint
  }

  /** What a pipeline does after the error. */
  get disposition(): Disposition {
    return errors[this.code].disposition
  }
}

/** @returns whether `error` is a TailraceError and, if `code` is given, has this code. */
export function isTailraceError(error: unknown, code?: ErrorCode): error is TailraceError {
  return error instanceof TailraceError && (code === undefined || error.code === code)
}

/** @returns whether `error` reports that its operation was aborted by request. */
export function isAbort(error: unknown): error is Error {
  return error instanceof Error && error.name === 'AbortError'
}
