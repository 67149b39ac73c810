import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/clock.ts'
import { DeltaCommitter } from '../../src/sinks/delta/committer.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine, sqlIdentifier, sqlString } from '../../src/sinks/encoding/engine.ts'
import { parquetOptions } from '../../src/sinks/encoding/statement-settings.ts'
import { engineTypes } from '../../src/tables/engine-types.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'

/** The table that the page is measured over. */
export interface PageTable {
  /** The directory of the lakehouse, for `sink.root`. */
  readonly root: string
  readonly name: string
  readonly rows: number
  readonly days: number
  readonly fromMs: number
  readonly toMs: number
}

const name = 'bench.public.page'
const dayMs = 86_400_000

/** Files of one day, as merging leaves them. */
const filesPerDay = 2

/** A text that only the oldest records have. */
export const rareText = 'could not fsync segment'

/** A text that one record in twenty has. */
export const frequentText = 'orders_pkey'

/**
 * Makes a table of generated log records, spread evenly over some days, once per size: the files have the options of those
 * that Tailrace writes, and its committer writes the log. Every message has its own numbers.
 */
export async function makePageTable(
  { rows, days }: { readonly rows: number; readonly days: number },
  directory: string,
  say: (text: string) => void,
): Promise<PageTable> {
  const toMs = Date.UTC(2026, 10, 25)
  const table = { root: join(directory, `page-${rows}`), name, rows, days, fromMs: toMs - days * dayMs, toMs }
  const declaration = postgresLogs(name)
  const location = join(table.root, ...Object.values(declaration.name))
  const done = `${days * filesPerDay}.json`.padStart(25, '0')
  if (existsSync(join(location, '_delta_log', done))) return table
  const staging = join(table.root, 'staging')
  await rm(staging, { recursive: true, force: true })
  await mkdir(staging, { recursive: true })
  const engine = await EmbeddedEngine.open({ memoryMiB: 2_048, temporaryDirectory: join(staging, 'spill') })
  const committer = new DeltaCommitter({
    storage: new LocalDeltaStorage(location),
    engine,
    columns: declaration.columns,
    partitionColumns: ['event_date'],
    tableName: declaration.name.table,
    stagingDirectory: staging,
    clock: systemClock,
  })
  try {
    await committer.open()
    const files = days * filesPerDay
    // Each file is a version, behind that of the table's creation; a bench that was stopped goes on.
    for (let index = committer.tableVersion; index < files; index += 1) {
      const [first, end] = [index, index + 1].map((at) => Math.round((at * rows) / files)) as [number, number]
      const fileMs = dayMs / filesPerDay
      const startMs = table.fromMs + index * fileMs
      const columns = columnsSql(startMs, fileMs / (end - first), first)
      const selected = declaration.columns
        .filter((column) => column.name !== 'event_date')
        .map(
          (column) =>
            `${columns[column.name] ?? 'NULL'}::${engineTypes[column.type]} AS ${sqlIdentifier(column.name)}`,
        )
      const path = join(staging, `${index}.parquet`)
      const written = await engine.copy(
        `COPY (SELECT ${selected.join(', ')} FROM (SELECT range AS i, hash(range) AS h FROM range(${first}, ${end})))
          TO ${sqlString(path)} (${parquetOptions})`,
      )
      const partition = new Map([['event_date', new Date(startMs).toISOString().slice(0, 10)]])
      const span = {
        blob: `bench/page/${index}.ndjson`,
        generation: '20261124T000000Z',
        start: 0,
        end: end - first,
      }
      await committer.land([span], {
        files: written.map((file) => ({ ...file, partition })),
        rows: end - first,
        rejected: 0,
        partial: 0,
      })
      say(`page: ${end} of ${rows} rows of the table are made`)
    }
  } finally {
    await committer.close()
    await engine.close()
    await rm(staging, { recursive: true, force: true })
  }
  return table
}

/** SQL of the columns that have values, from the number `i` of a record and its hash `h`. */
function columnsSql(startMs: number, stepMs: number, first: number): Readonly<Record<string, string>> {
  const kind = '(h % 100)'
  const id = '((h // 100) % 50000000)'
  const duration = '(((h // 7) % 1000000) ^ 2 / 1e9 + 0.05)'
  const text = `'SELECT id, customer, total FROM orders WHERE id = ' || ${id} || ' AND region = ''r' || (h % 40) || ''''`
  const insert = `'INSERT INTO orders (id, customer, total) VALUES (' || ${id} || ', ' || (h % 9000) || ', ' || (h % 777) || ')'`
  const of = (cases: readonly (readonly [below: number, sql: string])[], otherwise: string): string =>
    `CASE ${cases.map(([below, sql]) => `WHEN ${kind} < ${below} THEN ${sql}`).join(' ')} ELSE ${otherwise} END`
  const isRare = 'i < 40 AND i % 10 = 3'
  const severity = `CASE WHEN ${isRare} THEN 'PANIC' ELSE ${of(
    [
      [90, "'LOG'"],
      [95, "'ERROR'"],
      [97, "'WARNING'"],
      [98, "'FATAL'"],
    ],
    "'LOG'",
  )} END`
  return {
    event_time: `make_timestamptz(${startMs * 1_000} + ((i - ${first}) * ${stepMs * 1_000})::BIGINT)`,
    severity,
    severity_level: severity,
    record_kind: "'server_log'",
    event: of(
      [
        [70, "'duration'"],
        [80, "'connection_received'"],
        [90, "'disconnection'"],
        [95, "'error'"],
        [97, 'NULL'],
        [98, "'error'"],
      ],
      "'temp_file'",
    ),
    server_name: "CASE WHEN h % 3 = 0 THEN 'pg-replica' ELSE 'pg-primary' END",
    source_role: "CASE WHEN h % 3 = 0 THEN 'replica' ELSE 'primary' END",
    db_name: "CASE WHEN h % 17 < 12 THEN 'shop' ELSE 'billing' END",
    user_name: "'app_' || (h % 23)",
    client_addr: "'10.0.' || (h % 7) || '.' || (h % 251)",
    application_name: "'worker-' || (h % 31)",
    sqlstate: of(
      [
        [90, "'00000'"],
        [95, "'23505'"],
        [97, "'01000'"],
        [98, "'57P01'"],
      ],
      "'00000'",
    ),
    backend_type: "'client backend'",
    pid: '2000 + (i // 700) % 30000',
    session_id: "to_hex(1790000000 + i // 700) || '.' || to_hex(2000 + (i // 700) % 30000)",
    query_id: `hash(${kind} // 10)::BIGINT & 9223372036854775807`.replace(
      '::BIGINT',
      ' % 9000000000000000000',
    ),
    command_tag: of(
      [
        [70, "'SELECT'"],
        [90, 'NULL'],
        [95, "'INSERT'"],
      ],
      'NULL',
    ),
    duration_ms: of([[70, duration]], 'NULL'),
    line_num: '1 + i % 700',
    message: `CASE WHEN ${isRare} THEN '${rareText} ' || i || ': Input/output error' ELSE ${of(
      [
        [70, `'duration: ' || round(${duration}, 3) || ' ms  execute <unnamed>: ' || ${text}`],
        [80, "'connection received: host=10.0.' || (h % 7) || '.' || (h % 251) || ' port=' || (h % 60000)"],
        [
          90,
          "'disconnection: session time: 0:00:' || (h % 60) || '.' || (h % 999) || ' user=app_' || (h % 23) || ' database=shop'",
        ],
        [95, `'duplicate key value violates unique constraint "${frequentText}"'`],
        [97, "'skipping vacuum of \"orders_' || (h % 90) || '\" --- lock not available'"],
        [98, "'terminating connection due to administrator command'"],
      ],
      `'temporary file: path "base/pgsql_tmp/pgsql_tmp' || (h % 30000) || '.' || (h % 9) || '", size ' || ${id}`,
    )} END`,
    detail: of(
      [
        [90, 'NULL'],
        [95, `'Key (id)=(' || ${id} || ') already exists.'`],
      ],
      'NULL',
    ),
    statement: of(
      [
        [70, text],
        [90, 'NULL'],
        [95, insert],
      ],
      'NULL',
    ),
    parse_status: "'ok'",
    source_blob: "'bench/page/page.ndjson'",
    source_generation: "'20261124T000000Z'",
    source_offset: 'i * 500',
    source_length: '500',
    source_index: '0',
    ingest_ts: `make_timestamptz(${startMs * 1_000} + ((i - ${first}) * ${stepMs * 1_000})::BIGINT + 9000000)`,
  }
}
