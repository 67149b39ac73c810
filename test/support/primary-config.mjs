const api = process.env.BUILT_TAILRACE ?? new URL('../../src/index.ts', import.meta.url).href
const { defineConfig, postgresLogs, readEnvironment } = await import(api)

const { STORAGE: connectionString = '', ROOT: root = '' } = readEnvironment({ STORAGE: 'text', ROOT: 'text' })

/**
 * @param sink further options of the sink
 * @returns a config of one pipeline from the container `logs` to a Delta table, both named by variables
 */
export function primaryConfig(sink = {}) {
  return defineConfig({
    stateDirectory: `${root}/state`,
    pipelines: {
      primary: {
        source: {
          storage: { kind: 'connection-string', connectionString },
          container: 'logs',
          blobs: 'primary/',
        },
        table: postgresLogs('lake.logs.primary', { role: 'primary' }),
        sink: { kind: 'delta', root: `${root}/lakehouse`, ...sink },
      },
    },
  })
}
