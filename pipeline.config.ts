import {
  defineConfig,
  type PipelineConfig,
  postgresLogs,
  readEnvironment,
  type SinkConfig,
  type StorageConfig,
  TailraceError,
} from './src/index.ts'

// What runs by default: the logs of a primary and a replica, each into its own table. The environment says where
// the logs are; with no Azure setting at all, an embedded storage with sample logs stands in.
const environment = readEnvironment({
  AZURE_STORAGE_CONNECTION_STRING: 'text',
  AZURE_STORAGE_SAS_URL: 'text',
  AZURE_STORAGE_ACCOUNT: 'text',
  TAILRACE_CONTAINER: 'text',
  TAILRACE_PRIMARY: 'text',
  TAILRACE_REPLICA: 'text',
  TAILRACE_SERVERS: 'text',
  TAILRACE_PRIMARY_TABLE: 'text',
  TAILRACE_REPLICA_TABLE: 'text',
  TAILRACE_TIME_ZONE: 'text',
  TAILRACE_LOG_LINE_PREFIX: 'text',
  TAILRACE_COLD_START: ['earliest', 'latest'],
  TAILRACE_START_TIME: 'text',
  TAILRACE_LAKEHOUSE: 'text',
  TAILRACE_SINK: ['delta', 'databricks'],
  TAILRACE_SINK_MODE: ['auto', 'transaction', 'replace-where', 'copy-into', 'merge', 'stage-only', 'zerobus'],
  TAILRACE_VOLUME: 'text',
  TAILRACE_ZEROBUS_HOST: 'text',
  TAILRACE_ZEROBUS_WORKSPACE_ID: 'text',
  DATABRICKS_HOST: 'text',
  DATABRICKS_HTTP_PATH: 'text',
  DATABRICKS_TOKEN: 'text',
  DATABRICKS_CLIENT_ID: 'text',
  DATABRICKS_CLIENT_SECRET: 'text',
})
const {
  AZURE_STORAGE_CONNECTION_STRING: connectionString,
  AZURE_STORAGE_SAS_URL: sasUrl,
  AZURE_STORAGE_ACCOUNT: account,
  DATABRICKS_TOKEN: token,
  DATABRICKS_CLIENT_ID: clientId,
  DATABRICKS_CLIENT_SECRET: clientSecret,
} = environment

const storage: StorageConfig = connectionString
  ? { kind: 'connection-string', connectionString }
  : sasUrl
    ? { kind: 'sas', url: sasUrl }
    : account
      ? { kind: 'account', account }
      : { kind: 'embedded' }

const embedded = storage.kind === 'embedded'

interface Server {
  /** A blob name, a prefix ending in `/`, a pattern, or a resource id where Azure Monitor writes the blobs. */
  readonly blobs: string | undefined
  readonly table: string | undefined
}

// With real storage, a server without its variable is left out.
const servers: Record<string, Server> = {
  primary: {
    blobs: environment.TAILRACE_PRIMARY ?? (embedded ? 'primary.ndjson' : undefined),
    table: environment.TAILRACE_PRIMARY_TABLE,
  },
  replica: {
    blobs: environment.TAILRACE_REPLICA ?? (embedded ? 'replica.ndjson' : undefined),
    table: environment.TAILRACE_REPLICA_TABLE,
  },
}

// More servers: TAILRACE_SERVERS=orders,crm reads TAILRACE_SERVER_ORDERS, TAILRACE_SERVER_ORDERS_TABLE and so on.
const otherServers = (environment.TAILRACE_SERVERS ?? '').split(/[\s,]+/).filter((name) => name !== '')
const variableOf = (server: string): string => `TAILRACE_SERVER_${server.toUpperCase().replaceAll('-', '_')}`
const ofServers = readEnvironment(
  Object.fromEntries(
    otherServers
      .flatMap((name) => [variableOf(name), `${variableOf(name)}_TABLE`])
      .map((name) => [name, 'text']),
  ),
)
for (const name of otherServers) {
  const [blobs, table] = [ofServers[variableOf(name)], ofServers[`${variableOf(name)}_TABLE`]]
  if (blobs === undefined || name in servers) {
    throw new TailraceError(
      'CONFIG_INVALID',
      name in servers
        ? `TAILRACE_SERVERS: found ${name} twice; primary and replica are there without being named.`
        : `TAILRACE_SERVERS names ${name}, which needs ${variableOf(name)}.`,
    )
  }
  servers[name] = { blobs: String(blobs), table: table === undefined ? undefined : String(table) }
}

// Delta tables below a root, or tables of a Databricks workspace; without a token or a client there, Entra ID signs in.
const inDatabricks = environment.TAILRACE_SINK === 'databricks'
const mode = environment.TAILRACE_SINK_MODE
const sink: SinkConfig = inDatabricks
  ? {
      kind: 'databricks',
      host: environment.DATABRICKS_HOST ?? '',
      httpPath: environment.DATABRICKS_HTTP_PATH,
      auth: token
        ? { kind: 'token', token }
        : clientId || clientSecret
          ? { kind: 'oauth', clientId: clientId ?? '', clientSecret: clientSecret ?? '' }
          : { kind: 'entra' },
      mode,
      volume: environment.TAILRACE_VOLUME,
      zerobus:
        environment.TAILRACE_ZEROBUS_HOST === undefined
          ? undefined
          : {
              host: environment.TAILRACE_ZEROBUS_HOST,
              workspaceId: environment.TAILRACE_ZEROBUS_WORKSPACE_ID,
            },
    }
  : { kind: 'delta', root: environment.TAILRACE_LAKEHOUSE ?? './lakehouse' }

const pipelines: Record<string, PipelineConfig> = {}
for (const [name, { blobs, table }] of Object.entries(servers)) {
  if (blobs === undefined) continue
  const role = name === 'primary' || name === 'replica' ? name : undefined
  pipelines[name] = {
    source: {
      storage,
      container: environment.TAILRACE_CONTAINER ?? 'insights-logs-postgresqllogs',
      blobs,
      coldStart: environment.TAILRACE_COLD_START,
      startTime: environment.TAILRACE_START_TIME,
      // The embedded storage costs nothing to ask, and a first look should show records arriving.
      pollMs: embedded ? 1_000 : undefined,
    },
    transforms: [],
    table: postgresLogs(
      table ?? `vitality_lakehouse_uat.pg_archive_sync.${name.replaceAll('-', '_')}_postgresql_logs_uat`,
      {
        role,
        serverName: role === undefined ? name : undefined,
        timezone: environment.TAILRACE_TIME_ZONE,
        prefixes:
          environment.TAILRACE_LOG_LINE_PREFIX === undefined
            ? undefined
            : [environment.TAILRACE_LOG_LINE_PREFIX],
      },
    ),
    sink,
    // A first look is not to wait; a load into a warehouse is paid for, however little it holds.
    batch: embedded && !inDatabricks ? { maxAgeMs: 2_000 } : undefined,
  }
}

const inZerobus = mode === 'zerobus'
const needed = inDatabricks
  ? ([
      'DATABRICKS_HOST',
      ...(mode === 'stage-only' || inZerobus ? [] : (['DATABRICKS_HTTP_PATH'] as const)),
      ...(mode === 'merge' || inZerobus ? [] : (['TAILRACE_VOLUME'] as const)),
      ...(inZerobus ? (['TAILRACE_ZEROBUS_HOST'] as const) : []),
      ...(clientId || clientSecret || inZerobus
        ? (['DATABRICKS_CLIENT_ID', 'DATABRICKS_CLIENT_SECRET'] as const)
        : []),
    ] as const)
  : []
const missing = needed.filter((name) => environment[name] === undefined)
if (missing.length > 0) {
  throw new TailraceError('CONFIG_INVALID', `TAILRACE_SINK is databricks, which needs ${missing.join(', ')}.`)
}
if (Object.keys(pipelines).length === 0) {
  throw new TailraceError(
    'CONFIG_INVALID',
    'Azure storage is set, but none of TAILRACE_PRIMARY, TAILRACE_REPLICA and TAILRACE_SERVERS names blobs.',
  )
}

export default defineConfig({ pipelines })
