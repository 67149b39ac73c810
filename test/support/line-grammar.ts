import type { Random } from '../../doubles/seeded-random.ts'
import {
  escapes,
  fractions,
  insertions,
  keys,
  pieces,
  severities,
  strangeNumbers,
  strangeTimes,
  words,
  zones,
} from './line-vocabulary.ts'

/** The producers whose lines the grammar writes. */
export const lineKinds = [
  'jsonlog',
  'azure',
  'log-envelope',
  'csvlog',
  'change-data',
  'operator',
  'json',
  'several-objects',
  'nested',
  'text',
  'bytes',
] as const

export type LineKind = (typeof lineKinds)[number]

/** One generated line, without its newline; it holds no newline. */
export interface GeneratedLine {
  readonly kind: LineKind
  readonly bytes: Buffer
}

export interface LineGrammarOptions {
  /** Longest line in bytes. Default 64 KiB. */
  readonly maxBytes?: number
  /** Deepest nesting of arrays and objects. Default 2,000. */
  readonly maxDepth?: number
  /** Share of lines that are damaged: bytes cut out, put in or replaced. Default 0.05. */
  readonly damagedShare?: number
  /** Kinds to choose from. Default all. */
  readonly kinds?: readonly LineKind[]
}

const longBytes = 256 * 1024

type Field = readonly [key: string, json: string]

/**
 * Log lines of every known producer, with values that a parser, a cast or a buffer may stumble over, from one seed.
 *
 * Keys, values and envelopes are drawn independently, so that a hostile number or time can stand wherever a producer
 * writes one. Most lines are short; one in about a hundred has a text of up to 256 KiB and one in a thousand of up to
 * `maxBytes`, so that a batch mixes both. With a higher `maxBytes` than 256 KiB, such texts are as much rarer as they are
 * longer: otherwise a million lines would be ten gigabytes. The sequence depends on nothing but the random source and the options.
 */
export class LineGrammar {
  readonly #random: Random
  readonly #maxBytes: number
  readonly #maxDepth: number
  readonly #damagedShare: number
  readonly #kinds: readonly LineKind[]

  constructor(random: Random, options: LineGrammarOptions = {}) {
    this.#random = random
    this.#maxBytes = options.maxBytes ?? 64 * 1024
    this.#maxDepth = options.maxDepth ?? 2_000
    this.#damagedShare = options.damagedShare ?? 0.05
    this.#kinds = options.kinds ?? lineKinds
  }

  /** The next line. */
  line(): GeneratedLine {
    const kind = this.#pick(this.#kinds)
    const whole = Buffer.from(this.#textOf(kind), kind === 'bytes' ? 'latin1' : 'utf8')
    const damaged = this.#chance(this.#damagedShare) ? this.#damage(whole) : whole
    // The limit may cut a line anywhere, which is one more way of being damaged.
    const bytes = Buffer.from(damaged.subarray(0, this.#maxBytes))
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at)) bytes[at] = 0x20
    return { kind, bytes }
  }

  /** The next `count` lines. */
  lines(count: number): GeneratedLine[] {
    return Array.from({ length: count }, () => this.line())
  }

  #textOf(kind: LineKind): string {
    switch (kind) {
      case 'jsonlog':
        return this.#jsonlog()
      case 'azure':
        return this.#azure()
      case 'log-envelope':
        return this.#logEnvelope()
      case 'csvlog':
        return this.#csvlog()
      case 'change-data':
        return this.#changeData()
      case 'operator':
        return this.#operator()
      case 'json':
        return this.#value(4)
      case 'several-objects':
        return Array.from({ length: this.#random.between(2, 5) }, () =>
          this.#chance(0.5) ? this.#jsonlog() : this.#object(this.#someFields()),
        ).join(this.#pick(['', ' ', ',']))
      case 'nested':
        return this.#nested()
      case 'text':
        return this.#serverText()
      case 'bytes':
        return Array.from({ length: this.#random.between(0, 60) }, () =>
          String.fromCharCode(this.#random.between(0, 255)),
        ).join('')
    }
  }

  #jsonlog(): string {
    const session = this.#chance(0.8) ? `"${hex(this.#random, 8)}.${hex(this.#random, 4)}"` : this.#scalar()
    return this.#object([
      ['timestamp', this.#timeValue()],
      ...this.#perhaps('user', () => this.#textValue()),
      ...this.#perhaps('dbname', () => this.#textValue()),
      ['pid', this.#integerValue()],
      ...this.#perhaps('remote_host', () => this.#textValue()),
      ...this.#perhaps('remote_port', () => this.#integerValue()),
      ['session_id', session],
      ...this.#perhaps('line_num', () => this.#integerValue()),
      ...this.#perhaps('ps', () => this.#textValue()),
      ...this.#perhaps('session_start', () => this.#timeValue()),
      ...this.#perhaps('txid', () => this.#integerValue()),
      ['error_severity', this.#chance(0.9) ? this.#string(this.#pick(severities)) : this.#scalar()],
      ...this.#perhaps('state_code', () => this.#textValue()),
      ['message', this.#messageValue()],
      ...this.#perhaps('detail', () => this.#textValue()),
      ...this.#perhaps('hint', () => this.#textValue()),
      ...this.#perhaps('context', () => this.#textValue()),
      ...this.#perhaps('statement', () => this.#messageValue()),
      ...this.#perhaps('application_name', () => this.#textValue()),
      ...this.#perhaps('backend_type', () => this.#textValue()),
      ...this.#perhaps('query_id', () => this.#integerValue()),
      ...this.#strangeFields(),
    ])
  }

  /** Azure Monitor's records: the flexible server's, the single server's, Query Store's, and `properties` as a string. */
  #azure(): string {
    const properties = this.#object([
      ['timestamp', this.#timeValue()],
      ['processId', this.#integerValue()],
      ['errorLevel', this.#string(this.#pick(severities))],
      ['sqlerrcode', this.#textValue()],
      ['backend_type', this.#textValue()],
      ['message', this.#chance(0.7) ? this.#string(this.#serverText()) : this.#messageValue()],
      ...this.#perhaps('prefix', () => this.#string(this.#prefix())),
      ...this.#perhaps('detail', () => this.#messageValue()),
      ...this.#perhaps('Query_id', () => this.#integerValue()),
      ...this.#strangeFields(),
    ])
    const spelled = this.#pick(['properties', 'properties', 'properties', 'Properties'])
    const category = this.#pick([
      'PostgreSQLLogs',
      'PostgreSQLLogs',
      'PostgreSQLFlexSessions',
      'PostgreSQLFlexQueryStoreRuntime',
      'QueryStoreRuntimeStatistics',
    ])
    return this.#object([
      [spelled, this.#chance(0.2) ? this.#string(properties) : properties],
      ['time', this.#timeValue()],
      [
        'resourceId',
        this.#string('/SUBSCRIPTIONS/0/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/ORDERS'),
      ],
      ['category', this.#chance(0.9) ? this.#string(category) : this.#scalar()],
      ...this.#perhaps('operationName', () => this.#string('LogEvent')),
      ...this.#perhaps('LogicalServerName', () => this.#textValue()),
      ...this.#perhaps('ReplicaRole', () => this.#textValue()),
    ])
  }

  /** Docker, CRI converted to JSON, Fluent Bit, Vector: a line of another format as text. */
  #logEnvelope(): string {
    const inner = this.#pick([
      () => this.#serverText(),
      () => this.#serverText(),
      () => this.#jsonlog(),
      () => this.#csvlog(),
      () => this.#azure(),
    ])()
    const end = this.#pick(['', '\n', '\r\n'])
    const text = this.#chance(0.95) ? this.#string(inner + end) : this.#scalar()
    return this.#object([
      ...(this.#chance(0.5)
        ? ([['log', text]] as const)
        : ([[this.#pick(['message', 'msg', 'textPayload']), text]] as const)),
      ...this.#perhaps('stream', () => this.#string(this.#pick(['stdout', 'stderr']))),
      [this.#pick(['time', '@timestamp', 'timestamp', 'date']), this.#timeValue()],
      ...this.#perhaps('kubernetes', () => this.#object(this.#someFields())),
      ...this.#perhaps('logName', () => this.#textValue()),
    ])
  }

  #csvlog(): string {
    const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`
    const fields = [
      this.#time(),
      quote(this.#word()),
      quote(this.#word()),
      this.#integer(),
      quote(`10.0.0.1:${this.#integer()}`),
      `${hex(this.#random, 8)}.${hex(this.#random, 4)}`,
      this.#integer(),
      quote('SELECT'),
      this.#time(),
      '4/12',
      this.#integer(),
      this.#pick(severities),
      '00000',
      quote(this.#message()),
      ...Array.from({ length: this.#random.between(0, 12) }, () =>
        this.#chance(0.7) ? '' : quote(this.#word()),
      ),
    ]
    return fields.join(',')
  }

  /** wal2json, both of its formats, and Debezium. */
  #changeData(): string {
    const columns = (): string =>
      `[${Array.from({ length: this.#random.between(0, 4) }, () =>
        this.#object([
          ['name', this.#textValue()],
          ['type', this.#string('integer')],
          ['value', this.#scalar()],
        ]),
      ).join(',')}]`
    return this.#pick([
      () =>
        this.#object([
          ['action', this.#string(this.#pick(['I', 'U', 'D', 'B', 'C', 'M']))],
          ['xid', this.#integerValue()],
          ['timestamp', this.#timeValue()],
          ['schema', this.#textValue()],
          ['table', this.#textValue()],
          ['columns', columns()],
        ]),
      () =>
        this.#object([
          ['xid', this.#integerValue()],
          ['timestamp', this.#timeValue()],
          ['change', columns()],
        ]),
      () =>
        this.#object([
          ['before', this.#scalar()],
          ['after', this.#object(this.#someFields())],
          [
            'source',
            this.#object([
              ['ts_ms', this.#integerValue()],
              ['table', this.#textValue()],
              ['txId', this.#integerValue()],
            ]),
          ],
          ['op', this.#string(this.#pick(['c', 'u', 'd', 'r']))],
          ['ts_ms', this.#integerValue()],
        ]),
    ])()
  }

  /** CloudNativePG: the operator's own lines, and the server's log inside `record`. */
  #operator(): string {
    return this.#object([
      ['level', this.#string('info')],
      ['ts', this.#timeValue()],
      ['logger', this.#textValue()],
      ['msg', this.#string(this.#pick(['record', 'Starting', 'WAL archive check passed']))],
      ['logging_pod', this.#textValue()],
      ...this.#perhaps('record', () =>
        this.#object([
          ['log_time', this.#timeValue()],
          ['user_name', this.#textValue()],
          ['process_id', this.#integerValue()],
          ['session_id', this.#textValue()],
          ['session_start_time', this.#timeValue()],
          ['error_severity', this.#textValue()],
          ['message', this.#messageValue()],
          ['query_id', this.#integerValue()],
        ]),
      ),
    ])
  }

  /** Nested far deeper than any record: alone, behind a key, or without its end. */
  #nested(): string {
    const depth = this.#random.between(1, this.#maxDepth)
    const [opening, closing] = this.#pick([
      ['[', ']'],
      ['{"a":', '}'],
      ['[{"a":', '}]'],
      ['[[],', ']'],
    ] as const)
    const ends = this.#chance(0.8) ? closing.repeat(depth) : ''
    const inner = `${opening.repeat(depth)}1${ends}`
    return this.#chance(0.7) ? this.#object([...this.#someFields(), [this.#key(), inner]]) : inner
  }

  /** The server's text log: a prefix, a level and a message. */
  #serverText(): string {
    return `${this.#prefix()}${this.#pick(severities)}:  ${this.#message()}`
  }

  #prefix(): string {
    return this.#pick([
      () => `${this.#time()} [${this.#integer()}] `,
      () => `${this.#time()} [${this.#integer()}] ${this.#word()}@${this.#word()} `,
      () => `${this.#time()}-${hex(this.#random, 8)}.${hex(this.#random, 4)}-`,
      () =>
        `${this.#time()}:10.0.0.1(${this.#integer()}):${this.#word()}@${this.#word()}:[${this.#integer()}]: `,
      () => '',
    ])()
  }

  #message(): string {
    return this.#pick([
      () => `duration: ${this.#number()} ms  statement: ${this.#sql()}`,
      () => `duration: ${this.#number()} ms`,
      () => `execute <unnamed>: ${this.#sql()}`,
      () => `statement: ${this.#sql()}`,
      () => `AUDIT: SESSION,${this.#integer()},1,READ,SELECT,TABLE,public.t,"${this.#sql()}",<none>`,
      () =>
        `connection authorized: user=${this.#word()} database=${this.#word()} application_name=${this.#word()}`,
      () => `connection received: host=${this.#word()} port=${this.#integer()}`,
      () => this.#text(),
    ])()
  }

  #sql(): string {
    return `INSERT INTO t VALUES (${this.#integer()}, '${this.#text()}')`
  }

  /** Text of any length, hostile or plain. */
  #text(): string {
    const length = this.#textLength()
    const piece = this.#pick(pieces)
    return length <= 24 ? piece : piece.repeat(Math.ceil(length / Math.max(1, Buffer.byteLength(piece))))
  }

  #textLength(): number {
    const drawn = this.#random.next()
    const longestShare = 0.001 * Math.min(1, longBytes / this.#maxBytes)
    const most =
      drawn < 0.9 ? 24 : drawn < 0.99 ? 2_000 : drawn < 1 - longestShare ? longBytes : this.#maxBytes
    return Math.floor(Math.exp(this.#random.next() * Math.log(Math.max(2, Math.min(most, this.#maxBytes)))))
  }

  #word(): string {
    return this.#chance(0.9) ? this.#pick(words) : this.#text()
  }

  #time(): string {
    if (this.#chance(0.3)) return this.#pick(strangeTimes)
    const two = (value: number): string => String(value).padStart(2, '0')
    const day = `${this.#random.between(1990, 2030)}-${two(this.#random.between(1, 12))}-${two(this.#random.between(1, 28))}`
    const clock = `${two(this.#random.between(0, 23))}:${two(this.#random.between(0, 59))}:${two(this.#random.between(0, 59))}`
    return `${day}${this.#pick([' ', 'T'])}${clock}${this.#pick(fractions)}${this.#pick(zones)}`
  }

  #integer(): string {
    return this.#chance(0.8) ? String(this.#random.between(0, 70_000)) : this.#pick(strangeNumbers)
  }

  #number(): string {
    return this.#chance(0.7) ? (this.#random.next() * 10_000).toFixed(3) : this.#pick(strangeNumbers)
  }

  #timeValue(): string {
    return this.#chance(0.15)
      ? this.#pick(strangeNumbers)
      : this.#chance(0.05)
        ? this.#scalar()
        : this.#string(this.#time())
  }

  #integerValue(): string {
    const text = this.#integer()
    return this.#chance(0.1) ? this.#string(text) : this.#chance(0.05) ? this.#scalar() : text
  }

  #textValue(): string {
    return this.#chance(0.95) ? this.#string(this.#word()) : this.#value(2)
  }

  #messageValue(): string {
    return this.#chance(0.97) ? this.#string(this.#message()) : this.#value(2)
  }

  #scalar(): string {
    return this.#pick([
      () => this.#string(this.#text()),
      () => this.#pick(strangeNumbers),
      () => this.#pick(['true', 'false', 'null', '""', '{}', '[]']),
      () => this.#string(this.#time()),
    ])()
  }

  #value(levels: number): string {
    if (levels <= 0 || this.#chance(0.4)) return this.#scalar()
    if (this.#chance(0.5)) return this.#object(this.#someFields(levels - 1))
    return `[${Array.from({ length: this.#random.between(0, 4) }, () => this.#value(levels - 1)).join(',')}]`
  }

  #someFields(levels = 1): Field[] {
    return Array.from(
      { length: this.#random.between(0, 4) },
      () => [this.#key(), this.#value(levels)] as const,
    )
  }

  /** Keys that no producer writes, repeated keys and very long ones. */
  #strangeFields(): Field[] {
    return this.#chance(0.1) ? this.#someFields(2) : []
  }

  #key(): string {
    return this.#chance(0.7) ? this.#pick(keys) : this.#text()
  }

  #perhaps(key: string, value: () => string): Field[] {
    return this.#chance(0.5) ? [[key, value()]] : []
  }

  #object(fields: readonly Field[]): string {
    const space = this.#chance(0.9) ? '' : this.#pick([' ', '\t', '\r', '  '])
    const repeated = fields.length > 0 && this.#chance(0.03) ? [...fields, this.#pick(fields)] : fields
    return `{${space}${repeated.map(([key, json]) => `${this.#keyLiteral(key)}:${space}${json}`).join(`,${space}`)}${space}}`
  }

  #keyLiteral(key: string): string {
    return this.#chance(0.99) ? JSON.stringify(key) : this.#string(key)
  }

  /** A JSON string literal, in one of the ways in which writers escape. */
  #string(text: string): string {
    const literal = JSON.stringify(text)
    const drawn = this.#random.next()
    if (drawn < 0.9) return literal
    if (drawn < 0.95) {
      return literal.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    }
    // Halves of surrogate pairs, NULs and escapes that JSON knows but nobody writes.
    const inserted = this.#pick(escapes)
    const at = literal.length - 1
    return `${literal.slice(0, at)}${inserted}${literal.slice(at)}`
  }

  #damage(bytes: Buffer): Buffer {
    const at = this.#random.between(0, bytes.length)
    const cut = this.#random.between(0, Math.min(4, bytes.length - at))
    const inserted = Buffer.from(this.#pick(insertions), 'latin1')
    const end = this.#chance(0.3) ? at + this.#random.between(0, 20) : bytes.length
    return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + cut, Math.max(at + cut, end))])
  }

  #chance(share: number): boolean {
    return this.#random.next() < share
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.between(0, from.length - 1)] as T
  }
}

function hex(random: Random, digits: number): string {
  return random
    .between(0, 16 ** digits - 1)
    .toString(16)
    .padStart(digits, '0')
}
