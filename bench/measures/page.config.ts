import { defineConfig, postgresLogs, readEnvironment, type StorageConfig } from '../../src/index.ts'

const environment = readEnvironment({
  AZURE_STORAGE_CONNECTION_STRING: 'text',
  TAILRACE_PRIMARY: 'text',
  TAILRACE_LAKEHOUSE: 'text',
  TAILRACE_STATE: 'text',
  TAILRACE_BENCH_PAGE_ROOT: 'text',
})

const storage: StorageConfig = {
  kind: 'connection-string',
  connectionString: environment.AZURE_STORAGE_CONNECTION_STRING!,
}

// A table of the past that the page shows, and one that lands meanwhile.
export default defineConfig({
  stateDirectory: environment.TAILRACE_STATE,
  pipelines: {
    page: {
      source: { storage, container: 'bench', blobs: 'nothing.ndjson' },
      table: postgresLogs('bench.public.page'),
      sink: { kind: 'delta', root: environment.TAILRACE_BENCH_PAGE_ROOT!, optimize: false },
    },
    ...(environment.TAILRACE_PRIMARY === undefined
      ? {}
      : {
          primary: {
            source: { storage, container: 'bench', blobs: environment.TAILRACE_PRIMARY },
            table: postgresLogs('bench.public.landing', { role: 'primary' }),
            sink: { kind: 'delta', root: environment.TAILRACE_LAKEHOUSE! },
            // The last rows do not wait for more.
            batch: { maxAgeMs: 500 },
          },
        }),
  },
})
