import { defineConfig, postgresLogs, readEnvironment } from '../../src/index.ts'

const { TAILRACE_BENCH_POLL_MS: pollMs, TAILRACE_BENCH_FLUSH_MS: maxAgeMs } = readEnvironment({
  TAILRACE_BENCH_POLL_MS: 'whole number',
  TAILRACE_BENCH_FLUSH_MS: 'whole number',
})

// One blob, with the poll and the flush of the latency benchmark's case; without them, the defaults.
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
        pollMs,
      },
      table: postgresLogs('bench.public.latency'),
      sink: { kind: 'delta', root: process.env.TAILRACE_LAKEHOUSE! },
      batch: { maxAgeMs },
    },
  },
})
