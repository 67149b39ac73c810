/** The fields of counted records; null where a record has no value. */
export interface CountedFields {
  /** As the record has it. */
  readonly severity: string | null
  /** The English name of the severity. */
  readonly level: string | null
  readonly server: string | null
  readonly role: string | null
  readonly event: string | null
}

/** The records of a unit, by slot and fields. The three arrays have one element per count. */
export interface UnitCounts {
  readonly fields: readonly CountedFields[]
  /** Numbers of slots since the epoch. */
  readonly slots: Float64Array
  /** Indexes of `fields`. */
  readonly kinds: Uint32Array
  readonly counts: Float64Array
}

/** Counts of a unit; `none`: it has too many to keep. */
export type Counted = UnitCounts | 'none'

const fieldNames = ['severity', 'level', 'server', 'role', 'event'] as const

/** @param rows of `countsSql` */
export function countsOfRows(rows: readonly Readonly<Record<string, unknown>>[]): UnitCounts {
  const text = (value: unknown): string | null => (value === null ? null : String(value))
  const lists = rows.map(({ slots, counts }) => ({ slots: slots as number[], counts: counts as number[] }))
  return {
    fields: rows.map(({ severity, level, server, role, event }) => ({
      severity: text(severity),
      level: text(level),
      server: text(server),
      role: text(role),
      event: text(event),
    })),
    slots: Float64Array.from(lists.flatMap(({ slots }) => slots)),
    kinds: Uint32Array.from(lists.flatMap(({ slots }, kind) => slots.map(() => kind))),
    counts: Float64Array.from(lists.flatMap(({ counts }) => counts)),
  }
}

/** The form of a text; a text of another one is not read. */
const form = 1

export function countsText(counted: Counted): string {
  if (counted === 'none') return JSON.stringify({ form, isNone: true })
  const { fields, slots, kinds, counts } = counted
  return JSON.stringify({
    form,
    fields: fields.map((one) => fieldNames.map((name) => one[name])),
    slots: [...slots],
    kinds: [...kinds],
    counts: [...counts],
  })
}

/** @returns undefined for any text that `countsText` has not written */
export function parseCounts(text: string): Counted | undefined {
  let parsed: Readonly<Record<string, unknown>> | null
  try {
    parsed = JSON.parse(text) as Readonly<Record<string, unknown>> | null
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (parsed?.form !== form) return undefined
  if (parsed.isNone === true) return 'none'
  const { fields, slots, kinds, counts } = parsed
  if (!areNumbers(slots) || !areNumbers(kinds) || !areNumbers(counts) || !Array.isArray(fields))
    return undefined
  if (slots.length !== kinds.length || slots.length !== counts.length) return undefined
  if (kinds.some((kind) => fields[kind] === undefined)) return undefined
  const known = (fields as readonly (readonly (string | null)[])[]).map((values) =>
    Object.fromEntries(fieldNames.map((name, index) => [name, values[index] ?? null])),
  ) as unknown as readonly CountedFields[]
  return {
    fields: known,
    slots: Float64Array.from(slots),
    kinds: Uint32Array.from(kinds),
    counts: Float64Array.from(counts),
  }
}

function areNumbers(values: unknown): values is readonly number[] {
  return Array.isArray(values) && values.every((value) => typeof value === 'number')
}
