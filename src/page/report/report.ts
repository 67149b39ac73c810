import type { Clock } from '../../clock.ts'
import { version } from '../../package.ts'
import type { RowRange } from '../../sinks/query-session.ts'
import {
  type Report,
  type ReportChart,
  type ReportRequest,
  type ReportSection,
  type ReportSectionId,
  type ReportSeries,
  type ReportServer,
  type ReportTable,
  reportSectionIds,
} from '../api-report.ts'
import { bucketLength } from '../logs/buckets.ts'
import { recordedRange } from '../logs/found-tables.ts'
import type { LogTables } from '../logs/log-tables.ts'
import { timeColumn } from '../logs/record-filter.ts'
import type { ComputedReports } from './computed-reports.ts'
import {
  type ChartDefinition,
  type FigureSet,
  type SectionDefinition,
  serverSql,
  type TableDefinition,
} from './section-definition.ts'
import { auditSection, changesSection, replicationSection } from './sections/events.ts'
import {
  autovacuumSection,
  checkpointsSection,
  locksSection,
  sessionsSection,
  tempFilesSection,
} from './sections/server.ts'
import { errorsSection, overviewSection, slowSection, statementsSection } from './sections/workload.ts'

const dayMs = 86_400_000

/** Buckets of a chart, at most. */
const maxBuckets = 60

/** Series of a chart for one server, the largest ones. */
const maxSeries = 8

const definitions: Readonly<Record<ReportSectionId, SectionDefinition>> = {
  overview: overviewSection,
  statements: statementsSection,
  slow: slowSection,
  errors: errorsSection,
  locks: locksSection,
  checkpoints: checkpointsSection,
  autovacuum: autovacuumSection,
  temp_files: tempFilesSection,
  sessions: sessionsSection,
  audit: auditSection,
  replication: replicationSection,
  changes: changesSection,
}

interface ReportContext {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** What earlier reports of the same tables have computed. */
  readonly computed: ComputedReports
}

type Row = Readonly<Record<string, unknown>>

/** A range of time with the rows of the tables in it. */
interface ReportedRange {
  readonly range: RowRange
  readonly rows: (sql: string) => Promise<readonly Row[]>
}

/** Reads the sections of a report, one after the other. */
export async function readReport(
  tables: LogTables,
  { fromMs, toMs, table, compare, section }: ReportRequest,
  { clock, signal, computed }: ReportContext,
): Promise<Report> {
  const begunAtMs = clock.now()
  const found = await tables.find(table)
  const recorded = recordedRange(found)
  const endMs = toMs ?? recorded?.toMs ?? begunAtMs
  const startMs = Math.min(fromMs ?? Math.max(recorded?.fromMs ?? 0, endMs - dayMs), endMs - 1)
  const rangeOf = (from: number, to: number): ReportedRange => {
    const range = { pipelines: found.map(({ id }) => id), column: timeColumn, fromMs: from, toMs: to }
    return { range, rows: async (sql) => (await tables.rows(sql, signal, { within: range })).rows }
  }
  const current = rangeOf(startMs, endMs)
  const shiftMs = compare === undefined ? undefined : compare === 'week' ? 7 * dayMs : endMs - startMs
  const former = shiftMs === undefined ? undefined : rangeOf(startMs - shiftMs, endMs - shiftMs)
  const known = computed.of(found, { startMs, endMs, shiftMs })
  known.servers ??= found.length === 0 ? [] : await serversOf(current)
  const { servers } = known
  const sections: ReportSection[] = []
  for (const id of found.length === 0 ? [] : reportSectionIds) {
    if (section !== undefined && section.length > 0 && !section.includes(id)) continue
    const read = known.sections.get(id) ?? (await readSection(definitions[id], servers, current, former))
    known.sections.set(id, read)
    sections.push(read)
  }
  return {
    version,
    atMs: begunAtMs,
    fromMs: startMs,
    toMs: endMs,
    compared: former && { fromMs: former.range.fromMs, toMs: former.range.toMs },
    servers,
    sections,
    elapsedMs: clock.now() - begunAtMs,
  }
}

async function serversOf({ rows }: ReportedRange): Promise<readonly ReportServer[]> {
  const found = await rows(
    `SELECT ${serverSql} AS id, min(source_role) AS role FROM logs WHERE ${timeColumn} IS NOT NULL GROUP BY 1
      ORDER BY role IS DISTINCT FROM 'primary', role, id`,
  )
  return found.map(({ id, role }) => ({ id: String(id), role: role === null ? null : String(role) }))
}

/** Reads all parts of a section by one statement, which computes the relations that they share once. */
async function readSection(
  definition: SectionDefinition,
  servers: readonly ReportServer[],
  current: ReportedRange,
  former: ReportedRange | undefined,
): Promise<ReportSection> {
  const { id, title, notes, figures, charts, tables } = definition
  const buckets = bucketsOf(current.range)
  const now = await readParts(definition, current, buckets, true)
  const shiftMs = former === undefined ? 0 : current.range.fromMs - former.range.fromMs
  const before =
    former && (await readParts(definition, former, { ...buckets, firstMs: buckets.firstMs - shiftMs }, false))
  return {
    id,
    title,
    notes,
    figures: figures.flatMap((set, part) =>
      set.figures.map(({ id: figureId, label, unit }, index) => ({
        id: figureId,
        label,
        unit,
        values: figureValues(set, index, servers, now.figures[part]!),
        before: before && figureValues(set, index, servers, before.figures[part]!),
      })),
    ),
    charts: charts.map((chart, part) => chartOf(chart, buckets, now.charts[part]!, before?.charts[part])),
    tables: tables.map((table, part) => tableOf(table, now.tables[part]!)),
  }
}

/** The buckets of charts. */
interface Buckets {
  readonly firstMs: number
  readonly bucketMs: number
  readonly count: number
}

function bucketsOf({ fromMs, toMs }: RowRange): Buckets {
  const bucketMs = bucketLength(fromMs, toMs, maxBuckets)
  const firstMs = Math.floor(fromMs / bucketMs) * bucketMs
  return { firstMs, bucketMs, count: Math.ceil((toMs - firstMs) / bucketMs) }
}

/** The rows of each part of a section. */
interface SectionParts {
  readonly figures: readonly (readonly Row[])[]
  readonly charts: readonly (readonly Row[])[]
  readonly tables: readonly (readonly Row[])[]
}

async function readParts(
  { relations, figures, charts, tables }: SectionDefinition,
  { rows }: ReportedRange,
  { firstMs, bucketMs }: Buckets,
  withTables: boolean,
): Promise<SectionParts> {
  const parts = [
    ...figures.map(({ from, figures: some }) => {
      const values = some.map(({ value }, index) => `${value} AS "${index}"`)
      return `SELECT ${serverSql} AS server, ${values.join(', ')} FROM ${from} GROUP BY 1`
    }),
    ...charts.map(
      ({ from, at, value, series }) =>
        `SELECT ${serverSql} AS server, ${series} AS name, (epoch_ms(${at}) - ${firstMs}) // ${bucketMs} AS bucket, ${value} AS value
          FROM ${from} WHERE ${at} IS NOT NULL GROUP BY 1, 2, 3`,
    ),
    ...(withTables ? tables : []).map(
      ({ sql, order, maxRows }) =>
        `SELECT * FROM (SELECT *, row_number() OVER (ORDER BY ${order}) AS place FROM (${sql})) WHERE place <= ${maxRows + 1}`,
    ),
  ]
  const found: Row[][] = parts.map(() => [])
  for (const { part, row } of await rows(sectionSql(parts, relations)))
    found[Number(part)]!.push(JSON.parse(String(row)) as Row)
  const [firstChart, firstTable] = [figures.length, figures.length + charts.length]
  return {
    figures: found.slice(0, firstChart),
    charts: found.slice(firstChart, firstTable),
    tables: found.slice(firstTable).map((some) => some.toSorted((a, b) => Number(a.place) - Number(b.place))),
  }
}

/**
 * @returns one statement with the rows of all parts as JSON; `@name` stands for a relation that is computed once, and may
 *   stand in the SQL of another relation
 */
function sectionSql(parts: readonly string[], relations: Readonly<Record<string, string>> = {}): string {
  const shared = new Map<string, string>()
  const named = (sql: string): string => {
    for (const [, name] of sql.matchAll(/@(\w+)/g)) {
      // Those that it reads come first.
      if (!shared.has(name!)) shared.set(name!, named(relations[name!] ?? `FROM ${name}`))
    }
    return sql.replaceAll(/@(\w+)/g, '"@$1"')
  }
  const selects = parts.map(
    (part, index) => `SELECT ${index} AS part, to_json(found)::VARCHAR AS row FROM (${named(part)}) AS found`,
  )
  const ctes = Array.from(shared, ([name, sql]) => `"@${name}" AS MATERIALIZED (${sql})`)
  return `WITH ${ctes.join(', ')} ${selects.join(' UNION ALL ')}`
}

function figureValues(
  { figures }: FigureSet,
  index: number,
  servers: readonly ReportServer[],
  rows: readonly Row[],
): readonly (number | null)[] {
  const isCount = figures[index]!.value.startsWith('count(')
  return servers.map(({ id }) => {
    const row = rows.find(({ server }) => server === id)
    // Nothing to count is none; nothing to add up or compare is not known.
    return row === undefined ? (isCount ? 0 : null) : numberOf(row[String(index)])
  })
}

function chartOf(
  { id, title, unit, kind }: ChartDefinition,
  { firstMs, bucketMs, count }: Buckets,
  now: readonly Row[],
  before: readonly Row[] | undefined,
): ReportChart {
  const empty = (): (number | null)[] => Array<number | null>(count).fill(kind === 'bars' ? 0 : null)
  const values = seriesOf(now, empty)
  const former = before && seriesOf(before, empty)
  const total = (key: string): number =>
    (values.get(key) ?? []).reduce<number>((sum, one) => sum + (one ?? 0), 0)
  // By the key first: rows arrive in any order, and series with equal totals must not change places.
  const keys = [...new Set([...values.keys(), ...(former?.keys() ?? [])])].sort()
  keys.sort((a, b) => total(b) - total(a))
  const shown = new Map<string, number>()
  const series: ReportSeries[] = []
  for (const key of keys) {
    const [server = '', name = ''] = JSON.parse(key) as string[]
    const place = (shown.get(server) ?? 0) + 1
    shown.set(server, place)
    if (place > maxSeries) continue
    series.push({
      server,
      name,
      values: values.get(key) ?? empty(),
      before: former && (former.get(key) ?? empty()),
    })
  }
  return { id, title, unit, kind, fromMs: firstMs, bucketMs, series }
}

/** @returns the values of each series by the JSON of its server and name */
function seriesOf(
  rows: readonly Row[],
  empty: () => (number | null)[],
): ReadonlyMap<string, (number | null)[]> {
  const all = new Map<string, (number | null)[]>()
  for (const { server, name, bucket, value } of rows) {
    const key = JSON.stringify([String(server), String(name)])
    const values = all.get(key) ?? empty()
    all.set(key, values)
    // What a line reports may have begun before the range.
    const index = Number(bucket)
    if (index >= 0 && index < values.length) values[index] = numberOf(value)
  }
  return all
}

function tableOf(
  { id, title, columns, maxRows, records }: TableDefinition,
  rows: readonly Row[],
): ReportTable {
  return {
    id,
    title,
    columns,
    rows: rows.slice(0, maxRows).map((row) => ({
      cells: columns.map(({ id: column, unit }) => cellOf(row[column], unit)),
      records: records?.(row),
    })),
    isCut: rows.length > maxRows,
  }
}

function cellOf(value: unknown, unit: string): string | number | null {
  if (value === null || value === undefined) return null
  return unit === 'text' || unit === 'sql' ? String(value) : numberOf(value)
}

/** Rounded to what PostgreSQL writes: the last digits of a sum depend on the order of its parts. */
function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Math.round(Number(value) * 1_000) / 1_000
}
