import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../json.ts'
import { stringifyLike } from '../stringify-like.ts'
import { meaningOf } from './record-keys.ts'
import {
  isLaterChunk,
  isTypedValue,
  keyOf,
  knownKind,
  mapped,
  type RecordKind,
  rowTestOf,
  sqlstateOf,
} from './record-kind.ts'
import { isAuditPlaceholder } from './redact-audit.ts'
import { redactDecodedChange } from './redact-decoded-change.ts'
import { redactLogText } from './redact-log-text.ts'
import { quotingOf } from './redact-message.ts'
import { redactSql } from './sql-literals.ts'

export interface RecordRedactionOptions {
  readonly replacement: string
  /** Keys whose values are kept. */
  readonly keep: ReadonlySet<string>
}

/** The context of the values of one object. */
interface Surroundings {
  /** The kind of the object, or of the record that contains it; `unknown` outside of any record. */
  readonly kind: RecordKind
  readonly sqlstate: string | undefined
  /** Whether a text may be a chunk from the middle of a longer text. */
  readonly isChunk: boolean
  readonly depth: number
}

// No producer nests deeper. Deeper values are replaced, so that no record exhausts the stack.
const maxDepth = 64

/**
 * Redacts records by their kind: a record of a known producer by its keys, a record in an envelope by its own keys, and an
 * unknown record by replacing all texts and numbers.
 */
export class RecordRedaction {
  readonly #options: RecordRedactionOptions

  constructor(options: RecordRedactionOptions) {
    this.#options = options
  }

  /** @returns a copy of the record with the values of statements replaced */
  redact(record: JsonObject): JsonObject {
    return this.#record(record, { kind: 'unknown', sqlstate: undefined, isChunk: false, depth: 0 })
  }

  #record(record: JsonObject, outer: Surroundings): JsonObject {
    const kind = outer.kind === 'server' ? 'server' : knownKind(record, outer.kind)
    if (kind === 'unknown') return this.#unknownObject(record, outer.depth)
    const inside: Surroundings = {
      kind,
      sqlstate: sqlstateOf(record) ?? outer.sqlstate,
      isChunk: outer.isChunk || isLaterChunk(record),
      depth: outer.depth + 1,
    }
    const isRow = rowTestOf(record)
    return mapped(record, (value, key) =>
      isRow(key) && !this.#options.keep.has(key)
        ? this.#values(value, 1)
        : this.#value(value, keyOf(record, key), inside),
    )
  }

  #value(value: JsonValue, key: string, around: Surroundings): JsonValue {
    const { replacement, keep } = this.#options
    if (value === null || keep.has(key)) return value
    if (around.depth > maxDepth) return replacement
    const { rule } = meaningOf(key)
    if (rule === 'values') return this.#values(value, 0)
    if (rule === 'row') return this.#values(value, 1)
    if (typeof value === 'object') {
      const inner = { ...around, depth: around.depth + 1 }
      const bytes = rule === 'line' ? textOfBytes(value) : undefined
      if (bytes !== undefined) return this.#text(bytes, key, around)
      if (Array.isArray(value)) return value.map((element) => this.#value(element, key, inner))
      return isTypedValue(value)
        ? mapped(value, (typed, type) =>
            type === 'bytesValue' ? replacement : this.#value(typed, key, inner),
          )
        : this.#record(value, around)
    }
    if (typeof value === 'string') return rule === 'kept' ? value : this.#text(value, key, around)
    return rule === 'statement' && typeof value !== 'boolean' ? replacement : value
  }

  #text(text: string, key: string, around: Surroundings): string {
    const { replacement } = this.#options
    const { kind, sqlstate } = around
    const { rule, name } = meaningOf(key)
    // Text that does not parse still begins with a brace afterwards: Azure's records are recognized by it.
    if (name === 'properties')
      return this.#json(text, around) ?? (text.startsWith('{') ? `{${replacement}}` : replacement)
    const isStatement = rule === 'statement'
    if ((isStatement || around.isChunk) && (text === '' || isAuditPlaceholder(text))) return text
    if (around.isChunk) return replacement
    if (isStatement) return redactSql(text, { replacement, quoting: quotingOf(sqlstate) })
    if (name === 'data' && kind === 'server') {
      return redactDecodedChange(text, replacement, false) ?? this.#json(text, around) ?? replacement
    }
    return redactLogText(text, {
      replacement,
      json: (inner) => this.#json(inner, { ...around, kind: 'unknown' }, kind !== 'server'),
      isLine: rule === 'line' && isLine(name, kind),
      sqlstate,
      isDetail: rule === 'detail',
    })
  }

  /** @returns the redacted JSON text of a string; `undefined` when the string is not JSON */
  #json(text: string, around: Surroundings, isShippers = true): string | undefined {
    const value = parsed(text)
    if (typeof value !== 'object' || value === null) return undefined
    return stringifyLike(this.#redactedJson(value, around, isShippers), value, text)
  }

  #redactedJson(value: JsonObject | JsonValue[], around: Surroundings, isShippers: boolean): JsonValue {
    const depth = around.depth + 1
    if (!isJsonObject(value) || depth > maxDepth) return this.#unknown(value, depth)
    // JSON that a client logged through the server: all values are replaced, only the keys stay.
    if (!isShippers && knownKind(value, 'unknown') === 'unknown') {
      return mapped(value, (inner) => this.#unknown(inner, maxDepth))
    }
    return this.#record(value, { ...around, depth })
  }

  /** Redacts an unknown object: only times, numbers and names of the server are kept. */
  #unknownObject(record: JsonObject, depth: number): JsonObject {
    const { keep } = this.#options
    return mapped(record, (value, key) => {
      const isKept = keep.has(key) || (meaningOf(key).rule === 'kept' && typeof value !== 'object')
      return isKept ? value : this.#unknown(value, depth + 1)
    })
  }

  #unknown(value: JsonValue, depth: number): JsonValue {
    if (value === null || value === '' || typeof value === 'boolean') return value
    if (typeof value !== 'object' || depth > maxDepth) return this.#options.replacement
    return Array.isArray(value)
      ? value.map((element) => this.#unknown(element, depth + 1))
      : this.#unknownObject(value, depth)
  }

  /** Replaces the values of an array, or of an object whose keys are column names. */
  #values(value: JsonValue, levels: number): JsonValue {
    if (value === null || (typeof value === 'string' && isAuditPlaceholder(value))) return value
    if (Array.isArray(value) && levels >= 0) return value.map((element) => this.#values(element, levels - 1))
    if (isJsonObject(value) && levels > 0) return mapped(value, (inner) => this.#values(inner, levels - 1))
    return this.#options.replacement
  }
}

function isLine(name: string, kind: RecordKind): boolean | 'maybe' {
  if (kind === 'server' && name !== 'log' && name !== 'original') return false
  return kind === 'message' ? 'maybe' : true
}

/** @returns the text that the journal exports as a list of bytes, because it has control characters */
function textOfBytes(value: JsonValue): string | undefined {
  const isBytes = Array.isArray(value) && value.length > 0 && value.every((byte) => typeof byte === 'number')
  return isBytes ? Buffer.from(value as number[]).toString('utf8') : undefined
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
