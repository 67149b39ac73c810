import { randomUUID } from 'node:crypto'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { DuckDbWarehouse, type DuckDbWarehouseOptions } from '../../doubles/workspace/duckdb-warehouse.ts'
import { DiskVolumes } from '../../doubles/workspace/volume-files.ts'
import { Workspace, type WorkspaceOptions } from '../../doubles/workspace/workspace.ts'
import { systemClock } from '../../src/clock.ts'
import type { PipelineConfig, TailraceConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { type Logger, silentLogger } from '../../src/reporting/logger.ts'
import { type RunSummary, Tailrace } from '../../src/run/tailrace.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { containerName, startStorage, type TestStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Where the tests' tables are. */
export const catalog = 'vitality_lakehouse_uat'
export const schema = 'pg_archive_sync'
export const volume = `/Volumes/${catalog}/${schema}/staging`

/** Short statements are answered by their results, as those of a real warehouse are, which waits for 5 s. */
const directWaitMs = 500

/** A storage with blobs, a workspace with a warehouse, and configs that lead from one into the other. */
export interface WorkspaceBench {
  readonly storage: TestStorage
  readonly workspace: Workspace
  readonly warehouse: DuckDbWarehouse
  readonly volumes: DiskVolumes
  readonly directory: string
  /** A sink that leads into the workspace. */
  sink(more?: Partial<DatabricksSinkConfig>): DatabricksSinkConfig
  /** One pipeline `primary` of the blob `primary.ndjson` into the table `primary_logs`. */
  config(sink?: Partial<DatabricksSinkConfig>, rest?: Partial<Omit<PipelineConfig, 'sink'>>): ResolvedConfig
  /** Copies the state directory of its configs. */
  saveState(): Promise<string>
  restoreState(saved: string): Promise<void>
  /** The same before defaults are filled in, for a process of its own. */
  rawConfig(
    sink?: Partial<DatabricksSinkConfig>,
    rest?: Partial<Omit<PipelineConfig, 'sink'>>,
  ): TailraceConfig
}

export async function openWorkspaceBench(
  t: Pick<TestContext, 'after'>,
  options: Partial<WorkspaceOptions> = {},
  warehouseOptions: Partial<DuckDbWarehouseOptions> = {},
): Promise<WorkspaceBench> {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const root = join(directory, 'volumes')
  await mkdir(root)
  const volumes = new DiskVolumes(root)
  await volumes.create(catalog, schema, 'staging')
  const warehouse = await DuckDbWarehouse.open({ volumes, ...warehouseOptions })
  const context = {
    parameters: [],
    catalog: undefined,
    schema: undefined,
    signal: new AbortController().signal,
  }
  await warehouse.execute(`CREATE CATALOG IF NOT EXISTS ${catalog}`, context)
  await warehouse.execute(`CREATE SCHEMA IF NOT EXISTS ${catalog}.${schema}`, context)
  const engine = options.access?.guard(warehouse) ?? warehouse
  const workspace = await Workspace.start({
    engine,
    volumes,
    zerobus: warehouse,
    directResultsWaitMs: directWaitMs,
    ...options,
  })
  t.after(async () => {
    await workspace.close()
    warehouse.close()
  })
  const caFile = join(directory, 'ca.pem')
  await writeFile(caFile, workspace.ca)
  const sink: WorkspaceBench['sink'] = (more = {}) => ({
    kind: 'databricks',
    host: `${workspace.host}:${workspace.port}`,
    httpPath: workspace.httpPath,
    auth: { kind: 'token', token: workspace.tokens.personal },
    volume,
    upload: 'put',
    customCaFile: caFile,
    ...(more.mode === 'zerobus' ? zerobusOptions(workspace) : {}),
    ...more,
  })
  const rawConfig: WorkspaceBench['rawConfig'] = (more = {}, rest = {}) => ({
    pipelines: {
      primary: {
        source: {
          storage: { kind: 'connection-string', connectionString: storage.connectionString },
          container: containerName,
          blobs: 'primary.ndjson',
          pollMs: 100,
        },
        table: postgresLogs(`${catalog}.${schema}.primary_logs`),
        sink: sink(more),
        ...rest,
      },
    },
    stateDirectory: join(directory, 'state'),
    disk: { minFreeBytes: 0 },
  })
  return {
    storage,
    workspace,
    warehouse,
    volumes,
    directory,
    sink,
    rawConfig,
    saveState: async () => {
      const saved = join(directory, `saved-${randomUUID()}`)
      await cp(join(directory, 'state'), saved, { recursive: true })
      return saved
    },
    restoreState: async (saved) => {
      await rm(join(directory, 'state'), { recursive: true })
      await cp(saved, join(directory, 'state'), { recursive: true })
    },
    config: (more, rest) => resolveConfig(rawConfig(more, rest), directory),
  }
}

/** Lands every blob up to its end, in this process. */
export async function landAll(config: ResolvedConfig, logger: Logger = silentLogger): Promise<RunSummary> {
  const run = await Tailrace.open({ config, follow: false, clock: systemClock, logger })
  return run.run()
}

/** The table of a bench's config, as DuckDB names it. */
export const tableSql = `"${catalog}"."${schema}"."primary_logs"`

/** What mode zerobus needs beside: its endpoint, and a service principal. */
function zerobusOptions({
  zerobusHost,
  tokens,
}: Workspace): Pick<DatabricksSinkConfig, 'auth' | 'zerobus' | 'volume'> {
  const { clientId, clientSecret } = tokens
  return {
    auth: { kind: 'oauth', clientId, clientSecret },
    zerobus: { host: zerobusHost, workspaceId: '1234567890123456' },
    volume: undefined,
  }
}

/** Appends lines of jsonlog, numbered from `from`, to the blob of the primary. */
export async function appendLines(bench: WorkspaceBench, from: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => jsonlogLine(from + index))
  await bench.storage.append('primary.ndjson', linesAsBytes(lines))
}
