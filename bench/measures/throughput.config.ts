import { defineConfig, postgresLogs, readEnvironment } from '../../src/index.ts'

const environment = readEnvironment({
  AZURE_STORAGE_CONNECTION_STRING: 'text',
  TAILRACE_PRIMARY: 'text',
  TAILRACE_LAKEHOUSE: 'text',
  TAILRACE_STATE: 'text',
  TAILRACE_BENCH_KEEP_RAW: ['always', 'unusual'],
})

// The primary's pipeline of the shipped config, with its lines kept or not.
export default defineConfig({
  stateDirectory: environment.TAILRACE_STATE,
  pipelines: {
    primary: {
      source: {
        storage: {
          kind: 'connection-string',
          connectionString: environment.AZURE_STORAGE_CONNECTION_STRING!,
        },
        container: 'insights-logs-postgresqllogs',
        blobs: environment.TAILRACE_PRIMARY!,
      },
      table: postgresLogs('vitality_lakehouse_uat.pg_archive_sync.primary_postgresql_logs_uat', {
        role: 'primary',
        keepRaw: environment.TAILRACE_BENCH_KEEP_RAW,
      }),
      sink: { kind: 'delta', root: environment.TAILRACE_LAKEHOUSE! },
    },
  },
})
