import { defineConfig, postgresLogs, type SinkConfig } from '../../src/index.ts'

// One blob into one table, with the defaults of whichever sink is measured.
export default defineConfig({
  stateDirectory: process.env.TAILRACE_STATE!,
  pipelines: {
    primary: {
      source: {
        storage: {
          kind: 'connection-string',
          connectionString: process.env.AZURE_STORAGE_CONNECTION_STRING!,
        },
        container: 'logs',
        blobs: 'lines.ndjson',
      },
      table: postgresLogs('bench.public.logs'),
      sink: JSON.parse(process.env.TAILRACE_BENCH_SINK!) as SinkConfig,
    },
  },
})
