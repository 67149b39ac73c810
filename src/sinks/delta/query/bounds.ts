import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../../json.ts'
import { sqlString } from '../../encoding/engine.ts'
import type { LiveFile, TableColumn, TableContents } from '../files/live-files.ts'

/**
 * Types whose statistics bound every value of a file. Doubles are left out because NaN is outside of the bounds, and
 * doubles and decimals because the text of a bound may be rounded.
 */
const boundedTypes: ReadonlySet<string> = new Set([
  'string',
  'long',
  'integer',
  'short',
  'byte',
  'date',
  'timestamp',
  'timestamp_ntz',
])

/** @returns whether statistics bound the values of a column. */
export function hasBounds(column: TableColumn): boolean {
  return boundedTypes.has(column.type)
}

/**
 * SQL of a relation with one row per file: `file` is its index. For each requested column `n` there are `min_n` and
 * `max_n` (NULL when unknown), `values_n` (whether the file may hold a value) and `nulls_n` (whether it may hold a NULL).
 *
 * Partition columns are known exactly, the other columns by the statistics.
 *
 * @param indexes of columns in `contents.columns`
 */
export function fileBoundsSql(
  contents: Pick<TableContents, 'columns' | 'partitionColumns'>,
  files: readonly LiveFile[],
  indexes: readonly number[],
): string {
  const rows = files.map((file, fileIndex) => {
    const statistics = parsedStatistics(file.stats)
    const facts = indexes.flatMap((index) => {
      const { name } = contents.columns[index]!
      const { min, max, values, nulls } = contents.partitionColumns.includes(name)
        ? partitionFacts(file.partitionValues[name])
        : statisticsFacts(statistics, name)
      return [literal(min), literal(max), values, nulls]
    })
    return `(${[fileIndex, ...facts].join(', ')})`
  })
  const names = indexes.flatMap((n) => [`min_${n}`, `max_${n}`, `values_${n}`, `nulls_${n}`])
  const typed = indexes.map((n) => {
    const column = contents.columns[n]!
    return `${bound(column, `min_${n}`, '-')} AS min_${n}, ${bound(column, `max_${n}`, '+')} AS max_${n},
      values_${n}, nulls_${n}`
  })
  return `SELECT ${['file', ...typed].join(', ')}
    FROM (VALUES ${rows.join(', ')}) AS facts(${['file', ...names].join(', ')})`
}

/** Facts about a column's values in one file. */
interface Facts {
  readonly min?: string | undefined
  readonly max?: string | undefined
  readonly values: boolean
  readonly nulls: boolean
}

function partitionFacts(value: string | null | undefined): Facts {
  // An empty text means NULL, too.
  return value ? { min: value, max: value, values: true, nulls: false } : { values: false, nulls: true }
}

function statisticsFacts(statistics: JsonObject, name: string): Facts {
  const of = (key: string): JsonValue | undefined => {
    const values = statistics[key]
    return isJsonObject(values) && Object.hasOwn(values, name) ? values[name] : undefined
  }
  const nullCount = of('nullCount')
  return {
    min: boundText(of('minValues')),
    max: boundText(of('maxValues')),
    // Only integers are trusted; another writer's text or fraction proves nothing.
    values: !Number.isSafeInteger(nullCount) || nullCount !== statistics.numRecords,
    nulls: nullCount !== 0,
  }
}

/** @returns the statistics of a file; an empty object when it has none that can be parsed */
export function parsedStatistics(stats: string | undefined): JsonObject {
  if (stats === undefined) return {}
  try {
    const parsed = parseJson(stats)
    return isJsonObject(parsed) ? parsed : {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

function boundText(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  // A lone surrogate or a NUL character would not reach the engine unchanged.
  return typeof value === 'string' && !/[\p{Surrogate}\0]/u.test(value) ? value : undefined
}

function literal(text: string | undefined): string {
  return `${text === undefined ? 'NULL' : sqlString(text)}::VARCHAR`
}

/** Widens timestamps by a millisecond on both sides, because the log truncates them to milliseconds. */
function bound({ type, sqlType }: TableColumn, name: string, sign: '-' | '+'): string {
  if (!boundedTypes.has(type) || sqlType === undefined) return 'NULL'
  const value = `TRY_CAST(${name} AS ${sqlType})`
  return type.startsWith('timestamp') ? `TRY(${value} ${sign} INTERVAL 1 MILLISECOND)` : value
}
