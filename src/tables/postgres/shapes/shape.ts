/** The fields of a record as text, before they are cast; the same for every shape. */
export const textFields = [
  'event_time',
  // Used when `event_time` cannot be resolved to an instant.
  'event_time_second',
  'severity',
  'sqlstate',
  'message',
  'detail',
  'hint',
  'context',
  'statement',
  'db_name',
  'user_name',
  'client_addr',
  'client_port',
  'application_name',
  'backend_type',
  'pid',
  'session_id',
  'session_start',
  'line_num',
  'command_tag',
  'query_id',
  'txid',
  'internal_query',
  'internal_position',
  'cursor_position',
  'vxid',
  'ps',
  'leader_pid',
  'func_name',
  'file_name',
  'file_line_num',
  'audit_class',
  'object_type',
  'object_name',
  'audit_type',
  'audit_statement_id',
  'audit_substatement_id',
  'audit_parameters',
  'audit_rows',
  // Default: audit for pgaudit's records, server_log for those with a level, other for the rest.
  'record_kind',
  'lsn',
  'commit_time',
  'old_values',
  'new_values',
  'source_role',
  'server_name',
] as const

/** Name of a field. */
export type TextField = (typeof textFields)[number]

/** @returns SQL of the text at a path of the record's JSON object, one key per level; NULL when there is no value */
export type ValueAt = (...keys: string[]) => string

/**
 * @returns SQL of a value in the `log_line_prefix`; `rest` is the text after it, `unknown` is 1 if a part of it has no
 *   known meaning, `others` is a JSON object of the parts without a column, and `program` is the kind of the program that wrote the line, if it was not the server. NULL when no
 *   prefix matched, except for `whole`, the text with its prefix, and `head`, the beginning of that text
 */
export type PrefixValue = (
  name: PrefixField | 'level' | 'line' | 'unknown' | 'others' | 'program' | 'rest' | 'whole' | 'head',
) => string

/** Fields that a prefix can hold. */
export const prefixFields = [
  'time',
  'session_id',
  'session_start',
  'pid',
  'user_name',
  'db_name',
  'application_name',
  'client_addr',
  'client_port',
  'backend_type',
  'command_tag',
  'sqlstate',
  'line_num',
  'query_id',
  'txid',
  'vxid',
  'leader_pid',
] as const

/** Name of a field in a prefix. */
export type PrefixField = (typeof prefixFields)[number]

/** A producer's format of log records. */
export interface Shape {
  readonly name: string
  /**
   * SQL condition that recognizes a record. The first matching shape counts.
   *
   * @param text SQL of the text inside the envelope of a shipper
   */
  matches(at: ValueAt, text: string): string
  /**
   * SQL of the fields that the shape has, as VARCHAR.
   *
   * @param blob SQL of the name of the blob; not given if it is not known
   */
  fields(at: ValueAt, prefix: PrefixValue, blob?: string): Readonly<Partial<Record<TextField, string>>>
  /** A value that another one replaces in its field, and so stays in `extra`: its path, and SQL of whether it is replaced. */
  replaced?(at: ValueAt, prefix: PrefixValue): readonly [path: readonly string[], condition: string]
  /** Whether `extra` has only what `partly` gives, because the record's keys are names of columns. */
  readonly isRow?: boolean | undefined
  /** SQL of a JSON object for `extra`: the keys of which columns hold a part of the value, with the rest of it. */
  partly?(at: ValueAt, prefix: PrefixValue): string
  /** SQL of a list of the line's values, for shapes whose fields are places in such a list: `at('3')` is the third. */
  split?(line: string): string
  /** SQL of the text that may start with a `log_line_prefix`, for shapes with such a text. */
  prefixed?(at: ValueAt, line: string): string
  /** Whether all values are read together with those that distinguish the shapes: for shapes with few values. */
  readonly areClues?: boolean | undefined
  /**
   * Whether the numbers in the record are marked (`expressions/exact-numbers.ts`), because its values can exceed a double.
   */
  readonly hasExactNumbers?: boolean | undefined
  /** Whether user, database and client are read from connection messages when the prefix does not have them. */
  readonly readsConnectionMessages?: boolean | undefined
}
