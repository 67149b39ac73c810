import type { DatabricksSinkConfig } from '../sinks/databricks/options.ts'
import type { DeltaSinkConfig } from '../sinks/delta/options.ts'
import type { SourceConfig } from '../sources/options.ts'
import type { TableDeclaration } from '../tables/table.ts'
import type { CustomTransform } from '../transforms/record-transform.ts'

/** Where rows land: one of the kinds that ship. */
export type SinkConfig = DeltaSinkConfig | DatabricksSinkConfig

/** When a batch is sealed: by whichever comes first. */
export interface BatchConfig {
  /** Source bytes: 64 KiB to 1 GiB. Default 64 MiB, or 4 MiB with `mode: 'merge'`, whose most is 16 MiB. */
  readonly maxBytes?: number | undefined
  /** Rows: 1 to 100,000,000. Default 1,000,000. */
  readonly maxRows?: number | undefined
  /** Milliseconds since its first record: 10 to 3,600,000. Default 10,000, or 60,000 with a `databricks` sink. */
  readonly maxAgeMs?: number | undefined
}

export interface DiskConfig {
  /** Below this many free bytes the stream is held. Default 512 MiB. */
  readonly minFreeBytes?: number | undefined
  /** From this many free bytes it goes on. Default 1.1 times `minFreeBytes`. */
  readonly resumeFreeBytes?: number | undefined
  /** Pause between looks, in milliseconds: 100 to 600,000. Default 5,000. */
  readonly checkMs?: number | undefined
  /** Age from which a staging file is a leftover, in milliseconds. Default 3,600,000. */
  readonly expireMs?: number | undefined
}

/** Where this process tells Prometheus how it is doing: `GET /metrics`, and `GET /healthz` for a probe. */
export interface MetricsConfig {
  /** 0 to 65,535; 0 takes any free one, which the log names. */
  readonly port: number
  /** The address to listen at. Default `127.0.0.1`, which only this machine reaches. */
  readonly host?: string | undefined
}

/** When a pipeline that failed is started again, while the others go on. */
export interface RestartConfig {
  /** The first pause; each further one in a row is twice as long, in milliseconds: 10 to 3,600,000. Default 5,000. */
  readonly minPauseMs?: number | undefined
  /** The longest pause, in milliseconds: 10 to 86,400,000. Default 300,000. */
  readonly maxPauseMs?: number | undefined
}

export interface PipelineConfig {
  readonly source: SourceConfig
  /** Applied to every record, in order. Default none. */
  readonly transforms?: readonly CustomTransform[] | undefined
  readonly table: TableDeclaration
  readonly sink: SinkConfig
  /**
   * What the pipeline does once other processes land every blob that it reads. `wait` (default): it tries each of them
   * again after pauses of 5 s to 5 min, and takes over what they leave. `exit`: it ends with COMMIT_FENCED, and is not started again.
   */
  readonly whenFenced?: 'wait' | 'exit' | undefined
  readonly batch?: BatchConfig | undefined
}

export interface TailraceConfig {
  /** By name: lower-case letters, digits and `-`. The offset file and the staging directory are named after it. */
  readonly pipelines: Readonly<Record<string, PipelineConfig>>
  /** Offset files and staging. Default `./.tailrace`. */
  readonly stateDirectory?: string | undefined
  readonly disk?: DiskConfig | undefined
  /** Default none: nothing listens. */
  readonly metrics?: MetricsConfig | undefined
  /** How long a stop may take before the process gives up, in milliseconds: 0 to 3,600,000. Default 30,000. */
  readonly stopMs?: number | undefined
  readonly restart?: RestartConfig | undefined
}

/** Types a config. Checking and defaults come later, when the config is resolved. */
export function defineConfig(config: TailraceConfig): TailraceConfig {
  return config
}
