/**
 * The tests' Databricks workspace, in a process of its own: a load counts the rows and stores none, so that what is measured
 * is the client.
 *
 *   node --import tsx bench/servers/workspace-server.ts DIRECTORY    with its volume and its certificate in an empty directory
 *
 * It prints a line of `WorkspacePlace` when it is ready, and one of `WorkspaceCounts` at SIGTERM.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDbWarehouse } from '../../doubles/workspace/duckdb-warehouse.ts'
import { countsRow } from '../../doubles/workspace/sql-values.ts'
import { DiskVolumes } from '../../doubles/workspace/volume-files.ts'
import type { StatementContext, WarehouseEngine } from '../../doubles/workspace/warehouse-engine.ts'
import { Workspace } from '../../doubles/workspace/workspace.ts'
import { sqlString } from '../../src/tables/sql.ts'

/** Where the workspace is, and how to get in. */
export interface WorkspacePlace {
  readonly host: string
  readonly httpPath: string
  readonly token: string
  readonly volume: string
  /** The PEM file of the certificate to trust. */
  readonly caFile: string
}

/** What came in, from the workspace's start to its end. */
export interface WorkspaceCounts {
  /** How many statements of each kind were taken up. */
  readonly statements: Readonly<Record<string, number>>
  /** How often each RPC was called. */
  readonly rpcs: Readonly<Record<string, number>>
  /** HTTP requests of every kind, the RPCs included. */
  readonly requests: number
  readonly uploads: number
  readonly uploadedBytes: number
  /** Rows that the versions of the table have added, or that lie in the volume where there is no table. */
  readonly rows: number
  /** What went wrong in the workspace by itself. */
  readonly failures: readonly string[]
}

const table = 'bench.public.logs'
const [directory] = process.argv.slice(2)
if (directory === undefined) throw new Error('Which directory?')
const root = join(directory, 'volumes')
await mkdir(root)
const volumes = new DiskVolumes(root)
await volumes.create('bench', 'public', 'staging')
const warehouse = await DuckDbWarehouse.open({ volumes, instantLoad: true })
const context = {
  parameters: [],
  catalog: undefined,
  schema: undefined,
  signal: new AbortController().signal,
}
await warehouse.execute('CREATE CATALOG IF NOT EXISTS bench', context)
await warehouse.execute('CREATE SCHEMA IF NOT EXISTS bench.public', context)
warehouse.statements.clear()
const merged = { statements: 0, rows: 0 }
const engine: WarehouseEngine = {
  execute: async (text, statement) =>
    text.startsWith('MERGE ') ? countMerge(statement) : warehouse.execute(text, statement),
}
// As a real warehouse does it: what ends soon is answered at once.
const workspace = await Workspace.start({ engine, volumes, directResultsWaitMs: 5_000 })
const caFile = join(directory, 'ca.pem')
await writeFile(caFile, workspace.ca)

process.on('SIGTERM', () => void end())
print({
  host: `${workspace.host}:${workspace.port}`,
  httpPath: workspace.httpPath,
  token: workspace.tokens.personal,
  volume: '/Volumes/bench/public/staging',
  caFile,
} satisfies WorkspacePlace)

async function end(): Promise<void> {
  const { log } = workspace
  const rpcs: Record<string, number> = {}
  for (const rpc of log.rpcs) rpcs[rpc] = (rpcs[rpc] ?? 0) + 1
  print({
    statements: {
      ...Object.fromEntries(warehouse.statements),
      ...(merged.statements === 0 ? {} : { MERGE: merged.statements }),
    },
    rpcs,
    requests: log.requests.length,
    uploads: log.uploads.length,
    uploadedBytes: log.uploadedBytes,
    rows: await landedRows(),
    failures: log.failures.map(String),
  } satisfies WorkspaceCounts)
  process.exit(0)
}

async function landedRows(): Promise<number> {
  if (warehouse.tableDefinition(table) === undefined) {
    return rowsOf(`read_parquet(${sqlString(`${root}/Volumes/**/*.parquet`)}, hive_partitioning = false)`)
  }
  return merged.rows + warehouse.tableLog(table).addedRows
}

function countMerge({ parameters }: StatementContext): ReturnType<typeof countsRow> {
  const text = parameters.find(({ name }) => name === 'rows')?.value
  const { length } = JSON.parse(text ?? '[]') as unknown[]
  merged.statements += 1
  merged.rows += length
  return countsRow({
    num_affected_rows: length,
    num_updated_rows: 0,
    num_deleted_rows: 0,
    num_inserted_rows: length,
  })
}

async function rowsOf(relation: string): Promise<number> {
  const [found] = await warehouse.rows(`SELECT count(*) AS row_count FROM ${relation}`)
  return Number(found?.row_count)
}

function print(value: unknown): void {
  console.log(JSON.stringify(value))
}
