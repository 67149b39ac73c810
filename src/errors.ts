/** What the pipeline does about an error of a code. */
export type Disposition = 'retry' | 'halt'

/** The fixed facts about one error code. */
export interface ErrorRule {
  readonly disposition: Disposition
  /** What the reader of the message can do. One sentence. */
  readonly hint: string
}

/** Every code Tailrace raises. Codes are never renamed; docs/errors.md has a heading for each. */
export const errors = {
  CONFIG_INVALID: { disposition: 'halt', hint: 'Fix the listed options.' },
  CONFIG_UNREADABLE: { disposition: 'halt', hint: 'Check the path and that the file runs on its own.' },
  USAGE: { disposition: 'halt', hint: 'See tailrace --help.' },
  SOURCE_MISSING: {
    disposition: 'halt',
    hint: 'Check the name of the container, and that the account is the right one.',
  },
  SOURCE_DENIED: {
    disposition: 'halt',
    hint: 'Give the credential what the message names: a role, a permission, a new key or SAS, a network rule.',
  },
  SOURCE_UNAVAILABLE: {
    disposition: 'retry',
    hint: 'Storage is throttling or unreachable; reads go on when it answers.',
  },
  SOURCE_UNSUPPORTED: {
    disposition: 'halt',
    hint: 'Write NDJSON, plain or as gzip, or `records` documents to append or block blobs.',
  },
  SPAN_GAP: { disposition: 'halt', hint: 'Bytes were skipped or read twice: please report it.' },
  TRANSFORM_HELD_RECORD: {
    disposition: 'halt',
    hint: 'A transform must emit what it makes of a record before it calls back.',
  },
  DISK_FULL: { disposition: 'retry', hint: 'Free space on the volume; the stream waits and loses nothing.' },
  ENCODE_FAILED: {
    disposition: 'halt',
    hint: 'The staging file could not be encoded; nothing of it was committed.',
  },
  DIRECTORY_UNUSABLE: {
    disposition: 'halt',
    hint: 'Name a directory that this process can write: stateDirectory in the config, TMPDIR for temporary files.',
  },
  TABLE_UNSUPPORTED: {
    disposition: 'halt',
    hint: 'Use another table location, or a table without the named feature.',
  },
  TABLE_SCHEMA_MISMATCH: {
    disposition: 'halt',
    hint: 'Point the pipeline at a table with its own columns, or change the declaration.',
  },
  TABLE_MISSING: {
    disposition: 'halt',
    hint: 'Restore the table; docs/errors.md says how everything is landed again without it.',
  },
  TABLE_DENIED: { disposition: 'halt', hint: "Grant the right to read and write the table's location." },
  TABLE_UNAVAILABLE: {
    disposition: 'retry',
    hint: "The table's storage fails or is unreachable; commits go on when it answers.",
  },
  TABLE_CORRUPT: {
    disposition: 'halt',
    hint: 'Restore the named file from a backup; nothing was written.',
  },
  TABLE_VERSION_UNAVAILABLE: {
    disposition: 'halt',
    hint: 'Ask for one of the versions that tailrace history lists.',
  },
  TABLE_TOO_LARGE: {
    disposition: 'halt',
    hint: 'Query this table with an engine that reads the storage by itself, such as Spark.',
  },
  COMMIT_FENCED: {
    disposition: 'halt',
    hint: 'Another process lands the same blobs into this table: stop one of them, or let it wait for the other.',
  },
  COMMIT_CONTENDED: {
    disposition: 'retry',
    hint: 'Too many writers on one table; the commit is tried again.',
  },
  COMMIT_UNKNOWN: {
    disposition: 'halt',
    hint: 'Restart when storage answers again: the table tells whether the commit took place.',
  },
  WAREHOUSE_UNAVAILABLE: {
    disposition: 'retry',
    hint: 'The warehouse is starting, busy or unreachable; loads go on when it answers.',
  },
  WAREHOUSE_DENIED: {
    disposition: 'halt',
    hint: 'Give the principal what the message names; docs/databricks.md lists the rights a pipeline needs.',
  },
  STATEMENT_FAILED: {
    disposition: 'halt',
    hint: "Look the query up by its id in the workspace's query history.",
  },
  LOAD_UNCLEAR: {
    disposition: 'halt',
    hint: 'Compare the rows of the named ranges with the blobs, then replay or remove them.',
  },
  STATE_LOCKED: {
    disposition: 'halt',
    hint: 'Stop the other process first, or give this one a state directory and a pipeline name of its own.',
  },
  OFFSET_FILE_CORRUPT: { disposition: 'halt', hint: 'The table is the truth: the file is rebuilt from it.' },
  REPLAY_OUT_OF_RANGE: {
    disposition: 'halt',
    hint: 'Replay only what has been landed; tailrace status shows how far that is.',
  },
  REPLAY_NOT_A_LINE_START: { disposition: 'halt', hint: 'Use one of the named line starts.' },
  UNEXPECTED: {
    disposition: 'halt',
    hint: 'This is a mistake of Tailrace, or of a transform or config: please report it with the lines above.',
  },
  QUERY_FAILED: { disposition: 'halt', hint: 'Check the statement; tables have the names in the config.' },
  QUERY_REFUSED: {
    disposition: 'halt',
    hint: 'Read from the tables in one statement; --unsafe runs anything, with the rights of this process.',
  },
  OUTPUT_FAILED: {
    disposition: 'halt',
    hint: 'Check where standard output goes, such as the free space there.',
  },
} as const satisfies Record<string, ErrorRule>

/** A stable error code. */
export type ErrorCode = keyof typeof errors

/** Numbers and names that place an error; never record content, never a secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | undefined>>

/** The one error class. Match on `code`. */
export class TailraceError extends Error {
  readonly code: ErrorCode
  readonly context: ErrorContext

  constructor(code: ErrorCode, message: string, options: { context?: ErrorContext; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TailraceError'
    this.code = code
    this.context = options.context ?? {}
  }

  /** What to do about it. */
  get hint(): string {
    return errors[this.code].hint
  }

  /** What the pipeline does about it. */
  get disposition(): Disposition {
    return errors[this.code].disposition
  }
}

/** @returns whether `error` is a TailraceError, of the given code if one is named. */
export function isTailraceError(error: unknown, code?: ErrorCode): error is TailraceError {
  return error instanceof TailraceError && (code === undefined || error.code === code)
}

/** @returns whether `error` says that somebody asked for the end of what failed. */
export function isAbort(error: unknown): error is Error {
  return error instanceof Error && error.name === 'AbortError'
}
