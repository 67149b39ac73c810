import {
  defineConfig,
  type PipelineConfig,
  postgresLogs,
  type SinkConfig,
  type StorageConfig,
  TailraceError,
} from './src/index.ts'

// What runs by default: the logs of a primary and a replica, each into its own table. The environment says where
// the logs are; with no Azure setting at all, an embedded storage with sample logs stands in.
const {
  AZURE_STORAGE_CONNECTION_STRING: connectionString,
  AZURE_STORAGE_ACCOUNT: account,
  AZURE_STORAGE_SAS_URL: sasUrl,
  TAILRACE_CONTAINER: container = 'insights-logs-postgresqllogs',
  TAILRACE_COLD_START: coldStart = 'earliest',
  TAILRACE_START_TIME: startTime,
  TAILRACE_METRICS_PORT: metricsPort,
  TAILRACE_LAKEHOUSE: root = './lakehouse',
  TAILRACE_STATE: stateDirectory = './.tailrace',
  TAILRACE_SINK: sinkKind = 'delta',
  TAILRACE_SINK_MODE: mode = 'copy-into',
  TAILRACE_VOLUME: volume,
  DATABRICKS_HOST: host = '',
  DATABRICKS_HTTP_PATH: httpPath,
  DATABRICKS_TOKEN: token,
  DATABRICKS_CLIENT_ID: clientId,
  DATABRICKS_CLIENT_SECRET: clientSecret,
} = process.env

const storage: StorageConfig = connectionString
  ? { kind: 'connection-string', connectionString }
  : sasUrl
    ? { kind: 'sas', url: sasUrl }
    : account
      ? { kind: 'account', account }
      : { kind: 'embedded' }

const embedded = storage.kind === 'embedded'

// A blob name, a prefix ending in `/`, a pattern, or the server's resource id where Azure Monitor writes the blobs.
// With real storage, a server without its variable is left out.
const blobs = {
  primary: process.env.TAILRACE_PRIMARY ?? (embedded ? 'primary.ndjson' : undefined),
  replica: process.env.TAILRACE_REPLICA ?? (embedded ? 'replica.ndjson' : undefined),
}

// Delta tables below a root, or tables of a Databricks workspace; without a token or a client there, Entra ID signs in.
const sink: SinkConfig =
  sinkKind === 'databricks'
    ? {
        kind: 'databricks',
        host: host.replace(/^https:\/\//, '').replace(/\/$/, ''),
        ...(httpPath ? { httpPath } : {}),
        auth: token
          ? { kind: 'token', token }
          : clientId || clientSecret
            ? { kind: 'oauth', clientId: clientId ?? '', clientSecret: clientSecret ?? '' }
            : { kind: 'entra' },
        mode: mode as 'copy-into' | 'merge' | 'stage-only',
        ...(volume ? { volume } : {}),
      }
    : { kind: sinkKind as 'delta', root }

const pipelines: Record<string, PipelineConfig> = {}
for (const role of ['primary', 'replica'] as const) {
  const path = blobs[role]
  if (path === undefined) continue
  pipelines[role] = {
    source: {
      storage,
      container,
      blobs: path,
      coldStart: coldStart as 'earliest' | 'latest',
      ...(startTime ? { startTime } : {}),
      // The embedded storage costs nothing to ask, and a first look should show records arriving.
      ...(embedded ? { pollMs: 1_000 } : {}),
    },
    transforms: [],
    table: postgresLogs(`vitality_lakehouse_uat.pg_archive_sync.${role}_postgresql_logs_uat`, { role }),
    sink,
    // A first look is not to wait; a load into a warehouse is paid for, however little it holds.
    ...(embedded && sink.kind === 'delta' ? { batch: { maxAgeMs: 2_000 } } : {}),
  }
}

if (Object.keys(pipelines).length === 0) {
  throw new TailraceError(
    'CONFIG_INVALID',
    'Azure storage is set, but neither TAILRACE_PRIMARY nor TAILRACE_REPLICA names blobs.',
  )
}

export default defineConfig({
  pipelines,
  stateDirectory,
  ...(metricsPort ? { metrics: { port: Number(metricsPort) } } : {}),
})
