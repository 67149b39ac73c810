import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type {
  BatchConfig,
  DiskConfig,
  HealthConfig,
  MetricsConfig,
  PipelineConfig,
  RestartConfig,
} from '../../src/config/options.ts'
import type { LogLevel } from '../../src/reporting/logger.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import type { SourceConfig, StorageConfig } from '../../src/sources/options.ts'
import type { PostgresLogsOptions } from '../../src/tables/postgres/logs.ts'
import { apiVariable } from './built-script.ts'
import { containerName } from './storage.ts'

/** What a generated config says; everything else has its default. */
export interface TestConfig {
  readonly storage: StorageConfig
  /** By pipeline: its source; its table has the pipeline's name. */
  readonly pipelines: Readonly<Record<string, Partial<SourceConfig> & Pick<SourceConfig, 'blobs'>>>
  readonly batch?: BatchConfig
  readonly disk?: DiskConfig
  readonly metrics?: MetricsConfig
  readonly health?: HealthConfig
  readonly tableOptions?: PostgresLogsOptions
  /** The source text of a list of transforms. Default none. */
  readonly transforms?: string
  /** Below it are `lakehouse` and `state`. Default: the config's own directory. */
  readonly root?: string
  /** Default: `lakehouse` below `root`. */
  readonly lakehouse?: string
  /** Where the tables are. Default: Delta tables in `lakehouse`. */
  readonly sink?: DatabricksSinkConfig
  /** One table for all pipelines, by its last name. Default: one for each, of the pipeline's name. */
  readonly table?: string
  /** Catalog and schema of the tables. Default `test.logs`. */
  readonly schema?: string
  readonly stopMs?: number
  readonly restart?: RestartConfig
  readonly logLevel?: LogLevel
  readonly whenFenced?: PipelineConfig['whenFenced']
  /** Source text in front of the config. Default none. */
  readonly preamble?: string
}

/** Where things of a generated config are. */
export interface TestProject {
  readonly configPath: string
  readonly stateDirectory: string
  tableDirectory(pipeline: string): string
  offsetPath(pipeline: string): string
  stagingDirectory(pipeline: string): string
}

const index = new URL('../../src/index.ts', import.meta.url).href

/** Writes a config file of two-digit poll times and small batches into a directory. */
export async function writeProject(directory: string, config: TestConfig): Promise<TestProject> {
  const root = config.root ?? directory
  const configPath = join(directory, 'pipeline.config.mjs')
  const stateDirectory = join(root, 'state')
  const pipelines = Object.entries(config.pipelines).map(([name, source]) => {
    const plain = {
      source: { storage: config.storage, container: containerName, pollMs: 100, ...source },
      sink: config.sink ?? { kind: 'delta', root: config.lakehouse ?? join(root, 'lakehouse') },
      batch: { maxAgeMs: 100, ...config.batch },
      whenFenced: config.whenFenced,
    }
    const table = `postgresLogs('${config.schema ?? 'test.logs'}.${config.table ?? name}', ${JSON.stringify(config.tableOptions ?? {})})`
    return `${JSON.stringify(name)}: { ...${JSON.stringify(plain)}, table: ${table}, transforms: ${config.transforms ?? '[]'} },`
  })
  await writeFile(
    configPath,
    `const { defineConfig, postgresLogs } = await import(process.env.${apiVariable} ?? ${JSON.stringify(index)})
${config.preamble ?? ''}
export default defineConfig({
  pipelines: { ${pipelines.join('\n')} },
  stateDirectory: ${JSON.stringify(stateDirectory)},
  disk: ${JSON.stringify({ minFreeBytes: 0, ...config.disk })},
  metrics: ${JSON.stringify(config.metrics)},
  health: ${JSON.stringify(config.health)},
  stopMs: ${JSON.stringify(config.stopMs)},
  restart: ${JSON.stringify(config.restart)},
  logLevel: ${JSON.stringify(config.logLevel)},
})
`,
  )
  return {
    configPath,
    stateDirectory,
    tableDirectory: (pipeline) => join(root, 'lakehouse', 'test', 'logs', pipeline),
    offsetPath: (pipeline) => join(stateDirectory, `${pipeline}.offset.json`),
    stagingDirectory: (pipeline) => join(stateDirectory, 'staging', pipeline),
  }
}
