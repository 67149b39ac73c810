import { sqlIdentifier, sqlString } from '../sql.ts'
import type { Projection, ProjectionOptions } from '../table.ts'
import { columnValues, integerColumns, jsonColumns, stringColumns } from './columns.ts'
import { engineSeverityLevel, eventHead, eventOf } from './events.ts'
import { withNumbers } from './expressions/exact-numbers.ts'
import { asInstant, epochInstant, inCalendar, instant, sessionEpoch } from './expressions/instant.ts'
import {
  auditField,
  auditFields,
  auditHead,
  auditPosition,
  auditStatement,
  auditTailField,
  connectionValue,
  durationOf,
  phaseOf,
  planMark,
  statementHead,
  statementOf,
  unquoted,
} from './expressions/message.ts'
import { type ExtraColumn, extraTexts, extraValue } from './extra-column.ts'
import { beginsObject, formsOf, isNested, shapeNumber, textOf } from './forms.ts'
import type { KeepRaw } from './held-record.ts'
import type { CompiledPrefix } from './log-line-prefix.ts'
import { joinedKeys } from './other-keys.ts'
import { prefixRows } from './prefix-rows.ts'
import { addShape } from './record-shape.ts'
import { addValues } from './record-values.ts'
import { SelectChain } from './select-chain.ts'
import { type KnownServers, knownRole, knownServerName } from './server-columns.ts'
import { shapes } from './shapes/index.ts'
import { outerTime } from './shapes/log-text.ts'
import { type TextField, textFields } from './shapes/shape.ts'
import { usualBeginning, usualRows } from './usual-jsonlog.ts'
import { writtenForm } from './written-jsonlog.ts'

/** Options of a table of PostgreSQL logs, with all defaults applied. */
export interface PostgresProjectionOptions extends KnownServers {
  readonly timezone: string | undefined
  readonly prefixes: readonly CompiledPrefix[]
  readonly strict: boolean
  readonly extraColumns: readonly ExtraColumn[]
  readonly keepRaw: KeepRaw
}

/** Shapes whose texts are as the server writes them into a text log: each further line begins with a tab. */
const tabbedShapes = ['cloud-sql', 'log-text'].map(shapeNumber).join(', ')

const messageTexts: ReadonlySet<TextField> = new Set([
  'message',
  'detail',
  'hint',
  'context',
  'statement',
  'internal_query',
])

/** Stands for the relation in SQL that is kept. */
const relation = '"relation of a projection"'

const newlineTab = sqlString('\n\t')

/** SQL of a field's value; NULL for an empty one, PostgreSQL's placeholder, and an object or array. */
function presentText(name: TextField, index: number): string {
  const text = textOf(name)
  const untabbed = messageTexts.has(name)
    ? `WHEN shape IN (${tabbedShapes}) AND contains(${text}, ${newlineTab}) THEN replace(${text}, ${newlineTab}, chr(10))`
    : ''
  return `CASE WHEN ${text} IN ('', '[unknown]') THEN NULL WHEN types IS NOT NULL AND ${isNested(index)} THEN NULL ${untabbed} ELSE ${text} END`
}

/**
 * Generates the SQL that converts PostgreSQL log records of any shape to rows.
 *
 * The chain of SELECTs is as short as possible: each has vectors of its own for all columns, about 3 MiB for each thread.
 * Expressions for some shapes only are inside a CASE: DuckDB evaluates a branch only for its rows, so that a batch costs
 * only what its own shapes need.
 */
export class PostgresProjection implements Projection {
  readonly usualBeginning = usualBeginning
  readonly writtenForm = writtenForm
  readonly #options: PostgresProjectionOptions
  /** The SQL before and behind the name of the relation, by the options. It is kept because generating it takes 10 ms or more. */
  readonly #written = new Map<string, readonly [before: string, behind: string]>()

  constructor(options: PostgresProjectionOptions) {
    this.#options = options
  }

  select(source: string, options: ProjectionOptions): string {
    if (options.store !== undefined) return this.#select(source, options)
    const key = [options.usual, ...options.passThrough].join()
    let parts = this.#written.get(key)
    if (parts === undefined) {
      const [before, behind, ...others] = this.#select(relation, options).split(relation)
      if (before === undefined || behind === undefined || others.length > 0)
        throw new RangeError('a projection has to name its relation once')
      parts = [before, behind]
      this.#written.set(key, parts)
    }
    return parts.join(source)
  }

  #select(source: string, { passThrough, usual, store }: ProjectionOptions): string {
    if (usual !== undefined) return usualRows(source, this.#options, { passThrough, usual })
    const kept = ['raw', 'reject', 'note', ...passThrough.map(sqlIdentifier)]
    const chain = new SelectChain(source, kept, store)
    const forms = formsOf(passThrough.includes('source_blob') ? 'source_blob' : undefined)
    const extra = this.#options.extraColumns.length > 0 ? ['extra'] : []
    // To read a long row takes several times its length.
    chain.endStep([], 'text')
    addShape(chain, forms, this.#options.extraColumns)
    // Of the document, only its kind is needed from here on.
    const kind = `CASE WHEN doc IS NULL THEN NULL WHEN ${beginsObject('doc')} THEN '{' ELSE '' END AS doc`
    chain.endStep(
      [
        'shape',
        'is_unread',
        'keys',
        'clue_list',
        'line_text',
        'inner_removal',
        'envelope_keys',
        'envelope_host',
        outerTime,
        kind,
        ...extra,
      ],
      'body',
    )
    addValues(chain, forms, this.#options.prefixes)
    chain.endStep([
      'shape',
      'is_unread',
      'doc',
      'types',
      'has_unknown_prefix',
      'envelope_keys',
      'own_keys',
      'envelope_host',
      ...textFields.map(textOf),
      ...extra,
    ])
    this.#clean(chain)
    this.#cast(chain)
    this.#judge(chain)
    return this.#columns(chain.from, passThrough)
  }

  prefixes(source: string): string {
    return prefixRows(source, this.#options.prefixes)
  }

  /** Adds the values of the text columns, and the numbers. */
  #clean(chain: SelectChain): void {
    chain.add(
      Object.fromEntries([
        ...stringColumns.map((name, index) => [`s_${name}`, presentText(name, index)]),
        ...integerColumns.map(({ name, type }) => [`n_${name}`, `TRY_CAST(${textOf(name)} AS ${type})`]),
      ]),
    )
  }

  /** Adds typed values; NULL for texts that do not fit. */
  #cast(chain: SelectChain): void {
    const { timezone, extraColumns } = this.#options
    const connects = shapes
      .filter((shape) => shape.readsConnectionMessages)
      .map(({ name }) => shapeNumber(name))
    const orConnection = (column: string, key: Parameters<typeof connectionValue>[1]): string =>
      `CASE WHEN ${column} IS NOT NULL THEN ${column} WHEN shape IN (${connects.join(', ')}) THEN ${connectionValue('s_message', key)} END`
    chain.add({
      audit_head: auditHead('s_message'),
      statement_head: statementHead('s_message'),
      event_head: eventHead('s_message'),
      level: engineSeverityLevel('s_severity'),
      session_epoch: sessionEpoch('s_session_id'),
    })
    chain.add({
      kind: `CASE WHEN s_audit_class IS NOT NULL OR starts_with(s_message, 'AUDIT: ') THEN 'audit'
        WHEN s_record_kind IS NOT NULL THEN s_record_kind WHEN level IS NOT NULL THEN 'server_log' ELSE 'other' END`,
      audit: auditFields('audit_head'),
      audit_tail: `CASE WHEN audit_head IS NOT NULL THEN substring(s_message, length(audit_head) + 1) END`,
      session_instant: epochInstant('session_epoch'),
    })
    chain.add({
      audit_statement: `CASE WHEN audit IS NOT NULL THEN ${auditStatement('audit_tail')} END`,
      u_event_time: instant(textOf('event_time'), {
        timezone,
        sessionStart: textOf('session_start'),
        sessionInstant: 'session_instant',
      }),
      u_event_time_second: instant(textOf('event_time_second'), { timezone, zonelessIsUtc: true }),
      u_session_start: `CASE WHEN session_instant IS NOT NULL THEN session_instant ELSE ${instant(textOf('session_start'), { timezone })} END`,
    })
    chain.add({
      v_event_time: bestTime(timezone),
      u_commit_time: instant(textOf('commit_time'), { timezone, zonelessIsUtc: true }),
    })
    chain.add({
      t_event: inCalendar('v_event_time'),
      t_commit: inCalendar('u_commit_time'),
      t_session: inCalendar('u_session_start'),
      ...Object.fromEntries(
        integerColumns.map(({ name }) => [
          `i_${name}`,
          `CASE WHEN n_${name}::VARCHAR = ${textOf(name)} THEN n_${name} END`,
        ]),
      ),
      c_db_name: orConnection('s_db_name', 'database'),
      c_user_name: orConnection('s_user_name', 'user'),
      c_client_addr: orConnection('s_client_addr', 'host'),
      c_application_name: orConnection('s_application_name', 'application_name'),
      c_client_port: `CASE WHEN shape IN (${connects.join(', ')}) THEN TRY_CAST(${connectionValue('s_message', 'port')} AS INTEGER) END`,
    })
    if (extraColumns.length > 0) {
      const { texts } = extraTexts(extraColumns)
      chain.add(
        Object.fromEntries(
          extraColumns.map((extra, index) => [`x_${index}`, extraValue(extra, texts[index]!, timezone)]),
        ),
      )
    }
  }

  /** Adds the parse status and error. */
  #judge(chain: SelectChain): void {
    const extras = extraTexts(this.#options.extraColumns).texts
    const misfits: (readonly [name: string, condition: string, text: string])[] = [
      [
        'event_time',
        `coalesce(${textOf('event_time')}, ${textOf('event_time_second')}) IS NOT NULL AND t_event IS NULL`,
        `coalesce(${textOf('event_time')}, ${textOf('event_time_second')})`,
      ],
      [
        'session_start',
        `${textOf('session_start')} IS NOT NULL AND t_session IS NULL`,
        textOf('session_start'),
      ],
      ['commit_time', `${textOf('commit_time')} IS NOT NULL AND t_commit IS NULL`, textOf('commit_time')],
      ...integerColumns.map(
        ({ name }) =>
          [
            name,
            `${textOf(name)} IS NOT NULL AND ${textOf(name)} <> '' AND i_${name} IS NULL`,
            textOf(name),
          ] as const,
      ),
      ...this.#options.extraColumns.map(
        ({ name }, index) => [name, `${extras[index]} <> '' AND x_${index} IS NULL`, extras[index]!] as const,
      ),
    ]
    const isMisfit = `list_has_any(types, ['OBJECT', 'ARRAY']) OR ${misfits.map(([, condition]) => `(${condition})`).join(' OR ')}`
    const shown = (name: string, condition: string, text: string): string =>
      `CASE WHEN ${condition} THEN '${name} = ' || left(${text}, 100) END`
    const all = [
      ...misfits.map(([name, condition, text]) => shown(name, condition, text)),
      ...stringColumns.map((name, index) => shown(name, isNested(index), textOf(name))),
    ]
    chain.add({
      failure: `CASE WHEN reject IS NOT NULL THEN reject WHEN shape IS NOT NULL THEN NULL
        WHEN doc IS NULL THEN 'not_json' WHEN NOT (${beginsObject('doc')}) THEN 'not_object' END`,
      flaw: `CASE WHEN ${isMisfit} THEN 'bad_value: ' || concat_ws(', ', ${all.join(', ')})
        WHEN reject IS NULL AND (is_unread OR shape IS NULL) AND (${beginsObject('doc')}) THEN 'unknown_shape'
        WHEN has_unknown_prefix THEN 'unknown_prefix' END`,
    })
    const lowered = this.#options.strict ? 'rejected' : 'partial'
    chain.add({
      parse_status: `CASE WHEN failure IS NOT NULL THEN 'rejected' WHEN flaw IS NOT NULL OR note IS NOT NULL THEN '${lowered}' ELSE 'ok' END`,
      parse_error: `CASE WHEN failure IS NOT NULL THEN CASE WHEN note IS NULL THEN failure ELSE failure || ': ' || note END
        WHEN flaw IS NOT NULL OR note IS NOT NULL THEN concat_ws('; ', note, flaw) END`,
    })
  }

  #columns(from: string, passThrough: readonly string[]): string {
    const { strict, extraColumns } = this.#options
    const known = (column: string, setting: string): string =>
      `coalesce(${column}, CASE WHEN parse_status <> 'rejected' THEN ${setting} END)`
    const serverName = known(
      'coalesce(s_server_name, envelope_host)',
      knownServerName(this.#options, passThrough),
    )
    const audited = (field: TextField, position: number): string =>
      `CASE WHEN audit IS NOT NULL THEN ${auditField('audit', position)} ELSE s_${field} END`
    const auditNumber = (field: TextField, position: number): string =>
      `CASE WHEN audit IS NOT NULL THEN TRY_CAST(audit[${position}] AS BIGINT) ELSE i_${field} END`
    const isKept = (sql: string): string => `CASE WHEN parse_status <> 'rejected' THEN ${sql} END`
    const typed = columnValues(
      (name) => `s_${name}`,
      (name) => `i_${name}`,
      {
        event_time: asInstant('t_event'),
        server_name: serverName,
        source_role: known('s_source_role', knownRole(this.#options, serverName)),
        db_name: 'c_db_name',
        user_name: 'c_user_name',
        client_addr: 'c_client_addr',
        application_name: 'c_application_name',
        pid: `coalesce(i_pid, CASE WHEN ${textOf('pid')} IS NULL AND s_session_id IS NOT NULL THEN TRY_CAST('0x' || split_part(s_session_id, '.', 2) AS INTEGER) END)`,
        query_id: 'nullif(i_query_id, 0)',
        command_tag: `CASE WHEN audit IS NOT NULL THEN coalesce(${auditField('audit', auditPosition.command)}, s_command_tag) ELSE s_command_tag END`,
        duration_ms: durationOf('s_message'),
        duration_phase: `CASE WHEN starts_with(s_message, 'duration: ') THEN ${phaseOf('statement_head')} END`,
        severity_level: 'level',
        record_kind: isKept('kind'),
        event: isKept(
          eventOf({
            kind: 'kind',
            level: 'level',
            sqlstate: 's_sqlstate',
            message: 's_message',
            head: 'event_head',
          }),
        ),
        audit_type: audited('audit_type', auditPosition.type),
        audit_class: audited('audit_class', auditPosition.class),
        object_type: audited('object_type', auditPosition.objectType),
        object_name: audited('object_name', auditPosition.objectName),
        audit_statement_id: auditNumber('audit_statement_id', auditPosition.statementId),
        audit_substatement_id: auditNumber('audit_substatement_id', auditPosition.substatementId),
        audit_parameters: `CASE WHEN audit IS NOT NULL THEN ${auditTailField('audit_tail', 1)} ELSE s_audit_parameters END`,
        audit_rows: `CASE WHEN audit IS NOT NULL THEN TRY_CAST(${auditTailField('audit_tail', 2)} AS BIGINT) ELSE i_audit_rows END`,
        plan: `CASE WHEN starts_with(statement_head, '${planMark}') THEN nullif(substring(s_message, instr(s_message, ' ms  ') + ${planMark.length + 6}), '') END`,
        commit_time: asInstant('t_commit'),
        ...Object.fromEntries(
          jsonColumns.map((name) => [name, `nullif(nullif(${textOf(name)}, ''), 'null')`]),
        ),
        extra: isKept(joinedKeys('envelope_keys', withNumbers('own_keys'))),
        txid: 'nullif(i_txid, 0)',
        session_start: asInstant('t_session'),
        client_port: 'coalesce(i_client_port, c_client_port)',
        ...Object.fromEntries(
          extraColumns.map(({ name, type }, index) => [
            name,
            type === 'timestamp' ? asInstant(`x_${index}`) : `x_${index}`,
          ]),
        ),
        statement: `CASE WHEN s_statement IS NOT NULL THEN s_statement
        WHEN audit IS NOT NULL THEN ${unquoted('audit_statement')}
        WHEN statement_head IS NOT NULL THEN ${statementOf('s_message', 'statement_head')} END`,
        event_date: 't_event::DATE',
      },
    )
    const list = [
      ...Object.entries(typed).map(
        ([name, sql]) =>
          `${strict ? `CASE WHEN parse_status <> 'rejected' THEN ${sql} END` : sql} AS ${sqlIdentifier(name)}`,
      ),
      'parse_status',
      'parse_error',
      'raw',
      ...passThrough.map(sqlIdentifier),
    ]
    return `SELECT ${list.join(',\n')} FROM ${from}`
  }
}

/** SQL that chooses between a record's two times: the first one that is certain, or the more precise if both agree. */
function bestTime(timezone: string | undefined): string {
  const isProgram = `shape = ${shapeNumber('log-text')} AND ${textOf('event_time')} IS NOT NULL AND ${textOf('event_time_second')} IS NOT NULL`
  return `CASE
    WHEN ${isProgram} THEN ${timezone === undefined ? programTime() : 'u_event_time'}
    WHEN u_event_time IS NULL THEN u_event_time_second
    WHEN u_event_time_second IS NOT NULL AND date_trunc('second', u_event_time_second) = u_event_time THEN u_event_time_second
    ELSE u_event_time END`
}

/** Most lines reach their envelope within seconds. */
const maxLagSeconds = 60
const zoneStepSeconds = 900
const maxZoneSeconds = 14 * 3_600

/**
 * SQL of the instant of a program's time without a zone, which is in UTC in most containers. It is in another zone if the
 * envelope's time differs by what can be a zone's offset; any other difference is a backlog of the shipper.
 */
function programTime(): string {
  const local = `TRY_CAST(replace(${textOf('event_time')}, ',', '.') AS TIMESTAMP)`
  const difference = `(epoch(${local}) - epoch(u_event_time_second))`
  const offset = `(round(${difference} / ${zoneStepSeconds}) * ${zoneStepSeconds})`
  return `CASE WHEN abs(${offset}) BETWEEN ${zoneStepSeconds} AND ${maxZoneSeconds} AND abs(${difference} - ${offset}) <= ${maxLagSeconds}
    THEN ${local} - to_seconds(CAST(${offset} AS BIGINT)) ELSE ${local} END`
}
