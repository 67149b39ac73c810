import { join } from 'node:path'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { type JsonRow, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { withEngine } from '../../../../src/sinks/encoding/engine-session.ts'
import { type Bench, landAll } from '../../../commands/command-fixture.ts'
import { createViewsOver } from './create-log-views.ts'

const shipped = '2026-11-24T09:00:00.9Z'

/** How producers forward the lines of a text log: each line becomes one of these. */
export const envelopes: Readonly<Record<string, (line: string) => string>> = {
  file: (line) => line,
  kubectl: (line) => `${shipped} ${line}`,
  cri: (line) => `${shipped} stderr F ${line}`,
  docker: (line) => JSON.stringify({ log: `${line}\n`, stream: 'stderr', time: shipped }),
  'fluent-bit': (line) =>
    JSON.stringify({
      date: 1_795_511_675.5,
      log: line,
      kubernetes: { pod_name: 'pg-0', labels: { app: 'pg' } },
    }),
  azure: (line) =>
    JSON.stringify({
      category: 'PostgreSQLLogs',
      time: shipped,
      resourceId: '/SERVERS/PG',
      properties: {
        timestamp: '2026-11-24 08:54:35.875 UTC',
        errorLevel: /(ERROR|FATAL|WARNING|NOTICE|LOG): {2}/.exec(line)?.[1] ?? 'LOG',
        message: line,
      },
    }),
  'cloud-sql': (line) =>
    JSON.stringify({
      textPayload: line,
      logName: 'projects/p/logs/cloudsql.googleapis.com%2Fpostgres.log',
      severity: 'INFO',
      timestamp: shipped,
      resource: { labels: { database_id: 'p:pg' } },
    }),
}

/**
 * Lands each log in a table of its own, in several runs: each run finds the bytes up to one cut, which may be inside a
 * line, and the last run finds the rest.
 *
 * @param logs bytes by name
 * @param cuts parts of the whole, between 0 and 1, in order
 * @param select a SELECT over the views
 * @param kind how they are created
 * @returns the rows by name
 */
export async function selectFromLanded(
  bench: Bench,
  logs: Readonly<Record<string, Buffer>>,
  cuts: readonly number[],
  select: string,
  kind: 'VIEW' | 'TABLE' = 'VIEW',
): Promise<Readonly<Record<string, readonly JsonRow[]>>> {
  const names = Object.keys(logs)
  const config = bench.config(Object.fromEntries(names.map((name) => [name, {}])))
  const place = (name: string, cut: number): number => Math.floor(cut * logs[name]!.length)
  for (const [index, cut] of [...cuts, 1].entries()) {
    for (const name of names) {
      const part = logs[name]!.subarray(place(name, cuts[index - 1] ?? 0), place(name, cut))
      if (part.length > 0) await bench.storage.append(name, part)
    }
    await landAll(config)
  }
  const rows: Record<string, readonly JsonRow[]> = {}
  for (const name of names) {
    const storage = new LocalDeltaStorage(join(bench.directory, 'lakehouse/test/logs', name))
    rows[name] = await withEngine(async (engine) => {
      const { files = [] } = (await readTable(storage, engine)) ?? {}
      const paths = await Promise.all(files.map(async ({ path }) => (await storage.localFile(path)).path))
      await createViewsOver(
        engine,
        `read_parquet([${paths.map(sqlString).join(', ')}], hive_partitioning = false, union_by_name = true)`,
        kind,
      )
      return engine.rows(select)
    })
  }
  return rows
}
