import { defineConfig, postgresLogs, readEnvironment } from '../../src/index.ts'

const { STORAGE: connectionString = '', ROOT: root = '' } = readEnvironment({ STORAGE: 'text', ROOT: 'text' })

/** The pipeline whose files are kept in `format-1`. */
export default defineConfig({
  stateDirectory: `${root}/state`,
  pipelines: {
    primary: {
      source: {
        storage: { kind: 'connection-string', connectionString },
        container: 'logs',
        blobs: 'primary/',
      },
      transforms: [],
      table: postgresLogs('lake.logs.primary', { role: 'primary' }),
      sink: { kind: 'delta', root: `${root}/lakehouse` },
    },
  },
})
