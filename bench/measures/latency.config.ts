import { defineConfig, postgresLogs } from '../../src/index.ts'

// The times that the latency benchmark promises: a poll and a flush per second.
export default defineConfig({
  stateDirectory: process.env.TAILRACE_STATE!,
  pipelines: {
    latency: {
      source: {
        storage: {
          kind: 'connection-string',
          connectionString: process.env.AZURE_STORAGE_CONNECTION_STRING!,
        },
        container: 'latency',
        blobs: 'probes.ndjson',
        pollMs: 1_000,
      },
      table: postgresLogs('bench.public.latency'),
      sink: { kind: 'delta', root: process.env.TAILRACE_LAKEHOUSE! },
      batch: { maxAgeMs: 1_000 },
    },
  },
})
