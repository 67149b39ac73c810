import { sqlString } from '../sql.ts'
import { constantLookup } from './expressions/json.ts'
import { levelWords } from './levels.ts'

/**
 * The event that a message reports, by the beginning that PostgreSQL gives it in English (PostgreSQL 10 to 18). The
 * patterns are those of LIKE. More frequent events stand first, because each comparison costs time for every message.
 */
const eventPatterns: readonly (readonly [event: string, ...patterns: readonly string[]])[] = [
  ['duration', 'duration: % ms%'],
  ['statement', 'statement: %', 'execute %: %'],
  ['connection_received', 'connection received: %'],
  ['connection_authenticated', 'connection authenticated: %'],
  ['connection_authorized', 'connection authorized: %', 'replication connection authorized: %'],
  ['connection_ready', 'connection ready: setup total=%'],
  ['disconnection', 'disconnection: session time: %'],
  ['autoanalyze', 'automatic analyze of table %'],
  ['autovacuum', 'automatic % of table %'],
  [
    'checkpoint',
    'checkpoint starting: %',
    'checkpoint complete: %',
    'checkpoints are occurring too frequently %',
  ],
  ['restartpoint', 'restartpoint starting: %', 'restartpoint complete: %', 'recovery restart point at %'],
  ['temp_file', 'temporary file: path %'],
  [
    'lock_wait',
    'process % still waiting for % after % ms%',
    'process % acquired % after % ms%',
    'process % avoided deadlock for % after % ms%',
    'process % failed to acquire % after % ms%',
  ],
  ['deadlock', 'process % detected deadlock while waiting for %', 'deadlock detected%'],
  ['canceled', 'canceling %', 'terminating % due to administrator command%'],
  [
    'authentication_failed',
    '% authentication failed for user "%',
    'no pg_hba.conf entry for %',
    'pg_hba.conf rejects %',
  ],
  [
    'replication',
    'received replication command: %',
    'started streaming WAL from primary at %',
    'restarted WAL streaming at %',
    'replication terminated by primary server%',
    'terminating walsender process due to replication timeout%',
    'starting logical decoding for slot %',
    'logical decoding found %',
    'standby "%" is now a %synchronous standby%',
    'logical replication %',
    'invalidating obsolete replication slot "%',
    'terminating process % to release replication slot "%',
  ],
  ['recovery_conflict', 'recovery still waiting after %', 'recovery finished waiting after %'],
  [
    'recovery',
    'database system was interrupted%',
    'database system was not properly shut down%',
    'redo starts at %',
    'redo done at %',
    'consistent recovery state reached at %',
    'entering standby mode%',
    'restored log file %',
    'archive recovery complete%',
    'starting archive recovery%',
    'starting point-in-time recovery to %',
    'starting backup recovery with redo LSN %',
    'recovery stopping %',
    'recovery has paused%',
    'last completed transaction was at log time %',
    'selected new timeline ID: %',
    'received promote request%',
  ],
  [
    'crash',
    '% was terminated by signal %',
    '% was terminated by exception %',
    'terminating any other active server processes%',
    'all server processes terminated; reinitializing%',
  ],
  [
    'parameter_change',
    'parameter "%" changed to %',
    'parameter "%" removed from configuration file%',
    'received SIGHUP, reloading configuration files%',
  ],
  ['startup', 'starting PostgreSQL %', 'database system is ready to accept %'],
  ['shutdown', 'received % shutdown request', 'database system is shut down%'],
  [
    'client_lost',
    'could not receive data from client%',
    'could not send data to client%',
    'unexpected EOF on client connection%',
    'connection to client lost%',
  ],
  [
    'archiving',
    'archive command failed %',
    'archive command was terminated %',
    'archiving write-ahead log file %',
  ],
]

/** SQL of the event that a message reports; NULL for other messages, and for those in other languages. */
export function messageEvent(message: string): string {
  return `CASE WHEN ${isPlan(message)} THEN 'plan' ${eventBranches(message, eventPatterns)} END`
}

/** A statement may hold the words, too: only behind the duration they are those of a plan. */
function isPlan(message: string): string {
  return `${message} LIKE 'duration: % ms  plan:%' AND split_part(${message}, ' ms  ', 2) LIKE 'plan:%'`
}

function eventBranches(message: string, events: typeof eventPatterns): string {
  return events
    .map(([event, ...patterns]) => {
      const conditions = patterns.map((pattern) => `${message} LIKE ${sqlString(pattern)}`)
      return `WHEN ${conditions.join(' OR ')} THEN '${event}'`
    })
    .join('\n')
}

/** The text before the first wildcard of a pattern. */
function headOf(pattern: string): string {
  return pattern.slice(0, pattern.indexOf('%'))
}

const allPatterns = eventPatterns.flatMap(([event, ...patterns]) =>
  patterns.map((pattern) => ({ event, pattern, head: headOf(pattern) })),
)
const heads = [...new Set(allPatterns.map(({ head }) => head))]
  .filter((head) => head !== '')
  .toSorted((one, other) => other.length - one.length)
/** Heads after which anything may follow. */
const plainHeads = allPatterns.filter(({ head, pattern }) => head !== '' && pattern === `${head}%`)
const otherPatterns = allPatterns.filter(({ head, pattern }) => head === '' || pattern !== `${head}%`)

/** SQL of the beginning of a message that is that of an event; '' for other messages. */
export function eventHead(message: string): string {
  const escaped = heads.map((head) => head.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return `regexp_extract(${message}, ${sqlString(`^(?:${escaped.join('|')})`)})`
}

/**
 * The same as `messageEvent`, in the engine's own SQL, and from a column of `eventHead`: to compare each message with each
 * pattern would take longer.
 */
function eventByHead(message: string, head: string): string {
  const isAny = (heads: readonly string[]): string => `${head} IN (${heads.map(sqlString).join(', ')})`
  const plain = [...new Set(plainHeads.map(({ event }) => event))].map((event) => {
    const heads = plainHeads.filter((one) => one.event === event).map((one) => one.head)
    return `WHEN ${isAny(heads)} THEN '${event}'`
  })
  const others = [...new Set(otherPatterns.map((one) => one.head))].map((one) => {
    const patterns = otherPatterns.filter((other) => other.head === one)
    const events = patterns.map(({ event, pattern }) => [event, pattern] as const)
    return `WHEN ${isAny([one])} THEN CASE ${eventBranches(message, events)} END`
  })
  return `CASE ${plain.join('\n')} WHEN ${isPlan(message)} THEN 'plan' ${others.join('\n')} END`
}

/** The events that an error's code states, whatever the language of its message. */
const eventCodes: readonly (readonly [event: string, ...codes: readonly string[]])[] = [
  ['deadlock', '40P01'],
  ['authentication_failed', '28000', '28P01'],
  ['canceled', '57014', '55P03', '57P01', '57P04', '57P05', '25P03', '25P04'],
  ['crash', '57P02'],
]

/** SQL of the event that a SQLSTATE states; NULL for other codes. */
export function codeEvent(sqlstate: string): string {
  const branches = eventCodes.map(
    ([event, ...codes]) =>
      `WHEN ${codes.map((code) => `${sqlstate} = '${code}'`).join(' OR ')} THEN '${event}'`,
  )
  return `CASE ${branches.join(' ')} END`
}

/** SQL of the columns from which a record's event is read. */
interface EventColumns {
  readonly kind: string
  readonly level: string
  readonly sqlstate: string
  readonly message: string
  readonly head: string
}

/** SQL of a record's event; NULL for a record without a known one. An error without one is `error`, in every language. */
export function eventOf({ kind, level, sqlstate, message, head }: EventColumns): string {
  return `CASE WHEN ${kind} = 'audit' THEN 'audit'
    WHEN ${kind} IS DISTINCT FROM 'server_log' OR ${level} IS NULL THEN NULL
    ELSE coalesce(CASE WHEN ${sqlstate} <> '00000' THEN ${codeEvent(sqlstate)} END, ${eventByHead(message, head)},
      CASE WHEN ${level} IN ('ERROR', 'FATAL', 'PANIC') THEN 'error' END) END`
}

/** What producers write in place of PostgreSQL's own words. */
const otherLevelWords: Readonly<Partial<Record<keyof typeof levelWords, readonly string[]>>> = {
  DEBUG: ['TRACE', 'NOISE'],
  NOTICE: ['NOTE'],
  WARNING: ['WARN'],
  ERROR: ['ERR'],
  FATAL: ['CRITICAL', 'CRIT'],
  PANIC: ['ALERT', 'EMERG', 'EMERGENCY'],
}

const wordsOfLevels = Object.entries(levelWords).map(([level, words]) => ({
  level,
  words: [...words, ...(otherLevelWords[level as keyof typeof levelWords] ?? [])],
}))

/**
 * SQL of the English level of a severity in any language. Words of other languages are compared as they are, because the
 * dialects of SQL need not agree on their upper case.
 */
export function severityLevel(severity: string): string {
  const levels = wordsOfLevels.map(({ level, words }) => {
    const english = words.filter((word) => /^[A-Z0-9]+$/.test(word))
    const others = words.filter((word) => !english.includes(word))
    const isOther = others.length === 0 ? '' : ` OR ${severity} IN (${others.map(sqlString).join(', ')})`
    return `WHEN upper(${severity}) IN (${english.map(sqlString).join(', ')})${isOther} THEN '${level}'`
  })
  return `CASE ${levels.join(' ')} END`
}

/** The same in the engine's own SQL for views, also for words of other languages in lower case. */
export function viewSeverityLevel(severity: string): string {
  const pairs = wordsOfLevels.flatMap(({ level, words }) => words.map((word) => [level, word] as const))
  return `CASE ${usualLevels(severity)} ELSE ${constantLookup(pairs, severity, `upper(${severity})`)} END`
}

/** The same for the encoder, which optimizes no joins and folds no constants: it would make the lists for each row. */
export function engineSeverityLevel(severity: string): string {
  const listed = (words: readonly string[]): string => words.map(sqlString).join(', ')
  const levels = wordsOfLevels.map(
    ({ level, words }) =>
      `WHEN ${severity} IN (${listed(words)}) OR upper(${severity}) IN (${listed(words)}) THEN '${level}'`,
  )
  return `CASE ${usualLevels(severity)} ELSE CASE ${levels.join(' ')} END END`
}

/** The branches of the words that most servers write, which are their own levels. */
function usualLevels(severity: string): string {
  const others = Object.keys(levelWords).filter((level) => level !== 'LOG')
  const isOther = others.map((level) => `${severity} = '${level}'`).join(' OR ')
  return `WHEN ${severity} = 'LOG' THEN 'LOG' WHEN ${severity} IS NULL THEN NULL WHEN ${isOther} THEN ${severity}`
}
