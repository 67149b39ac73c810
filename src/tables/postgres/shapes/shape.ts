/** The texts that every producer's record is reduced to, before any of them is cast. */
export const textFields = [
  'event_time',
  // Used when the one before cannot be resolved to an instant.
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
  'object_name',
  'source_role',
  'server_name',
] as const

/** The name of one text. */
export type TextField = (typeof textFields)[number]

/** SQL of the text at a path of the record's JSON object, one key per level; NULL where nothing is. */
export type ValueAt = (...keys: string[]) => string

/** SQL of what a `log_line_prefix` told, by name; `rest` is the text after it, NULL when no prefix matched. */
export type PrefixValue = (name: PrefixField | 'level' | 'rest') => string

/** What a prefix can tell. */
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
] as const

/** The name of one of them. */
export type PrefixField = (typeof prefixFields)[number]

/** One way in which producers write a log record. */
export interface Shape {
  readonly name: string
  /** SQL condition; the first shape that matches wins. */
  matches(at: ValueAt): string
  /** SQL of each text it has, a VARCHAR; the others are NULL. */
  fields(at: ValueAt, prefix: PrefixValue): Readonly<Partial<Record<TextField, string>>>
  /** SQL of the text that may start with a `log_line_prefix`, for shapes that carry one. */
  prefixed?(at: ValueAt): string
  /** Whether user, database and client are read from connection messages when the prefix lacks them. */
  readonly readsConnectionMessages?: boolean
}
