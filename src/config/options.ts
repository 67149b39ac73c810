import type { LogLevel } from '../reporting/logger.ts'
import type { DatabricksSinkConfig } from '../sinks/databricks/options.ts'
import type { DeltaSinkConfig } from '../sinks/delta/options.ts'
import type { SourceConfig } from '../sources/options.ts'
import type { TableDeclaration } from '../tables/table.ts'
import type { CustomTransform } from '../transforms/record-transform.ts'

/** The destination of the rows: one of the shipped kinds of sinks. */
export type SinkConfig = DeltaSinkConfig | DatabricksSinkConfig

/** The limits of a batch. The first one that is reached seals it. */
export interface BatchConfig {
  /**
   * Source bytes: 64 KiB to 1 GiB. Default 64 MiB; 256 MiB with a `databricks` sink, and 4 MiB (16 MiB at most) with
   * `mode: 'merge'`.
   */
  readonly maxBytes?: number | undefined
  /** Rows: 1 to 100,000,000. Default 1,000,000. */
  readonly maxRows?: number | undefined
  /** Milliseconds since its first record: 10 to 3,600,000. Default 10,000; with a `databricks` sink `landEvery` is the default. */
  readonly maxAgeMs?: number | undefined
  /**
   * Seals batches at the multiples of this time since 1970 in UTC, instead of by `maxAgeMs`: a duration such as `30s`,
   * `15m` or `1h`, from `10s` to `1d`. All pipelines with the same value land together, so that one start of a warehouse
   * serves them all. Refused beside `maxAgeMs` and TAILRACE_BATCH_AGE_MS. Default none, or `15m` with a
   * `databricks` sink without `maxAgeMs`.
   */
  readonly landEvery?: string | undefined
}

export interface DiskConfig {
  /** The stream is held while a volume has fewer free bytes. Default 512 MiB. */
  readonly minFreeBytes?: number | undefined
  /** The stream continues when every volume has this many free bytes. Default 1.1 times `minFreeBytes`. */
  readonly resumeFreeBytes?: number | undefined
  /** Interval between checks, in milliseconds: 100 to 600,000. Default 5,000. */
  readonly checkMs?: number | undefined
  /** Age at which a staging file of an earlier process is removed, in milliseconds. Default 3,600,000. */
  readonly expireMs?: number | undefined
}

/** Prices of requests to blob storage in US dollars, for the estimated cost in the metrics. */
export interface PriceConfig {
  /** For 10,000 reads: 0 to 1,000. Default 0.0044. */
  readonly per10kReads?: number | undefined
  /** For 10,000 pages of a listing: 0 to 1,000. Default 0.055. */
  readonly per10kListings?: number | undefined
}

/** The limits after which `/readyz` gives a reason against a pipeline that runs. */
export interface HealthConfig {
  /** Time without an answer of storage to a request, in milliseconds: 100 to 3,600,000. Default 30,000. */
  readonly maxSilentMs?: number | undefined
  /**
   * Time in which rows wait and none is committed, in milliseconds: 100 to 86,400,000. Default 300,000. The age of a batch
   * comes on top.
   */
  readonly maxStallMs?: number | undefined
}

/** The HTTP server for `/metrics` (Prometheus) and for the probes `/livez`, `/readyz` and `/startupz`. */
export interface MetricsConfig {
  /** 0 to 65,535. With 0, the system chooses a free port, which is logged. */
  readonly port: number
  /** The address to listen on. Default `127.0.0.1`, which is reachable only from this machine. */
  readonly host?: string | undefined
  readonly prices?: PriceConfig | undefined
}

/** The web page that `tailrace start` and `tailrace page` serve. */
export interface PageConfig {
  /** 0 to 65,535. Default 8,787. `tailrace start` takes one of the next nine when it is in use. */
  readonly port?: number | undefined
  /** The address to listen on. Default `127.0.0.1`, which is reachable only from this machine. Any other one needs `token`. */
  readonly host?: string | undefined
  /** Names under which the page is reached, such as that of a proxy; addresses and `localhost` need not be listed. Default none. */
  readonly hosts?: readonly string[] | undefined
  /** Who knows it may read: 16 to 1,000 characters. Default: whoever reaches the address. */
  readonly token?: string | undefined
  /** Memory limit of the page's queries in MiB: 128 to 65,536. Default 512. */
  readonly memoryMiB?: number | undefined
}

/** The pauses before a failed pipeline is restarted. The other pipelines keep running. */
export interface RestartConfig {
  /** The first pause, in milliseconds: 10 to 3,600,000. Each later one in a row is twice as long. Default 5,000. */
  readonly minPauseMs?: number | undefined
  /** Upper limit of a pause, in milliseconds: 10 to 86,400,000. Default 300,000. */
  readonly maxPauseMs?: number | undefined
}

export interface PipelineConfig {
  readonly source: SourceConfig
  /** Applied to every record, in order. Default none. */
  readonly transforms?: readonly CustomTransform[] | undefined
  readonly table: TableDeclaration
  readonly sink: SinkConfig
  /**
   * The reaction when other processes land every blob of this pipeline. `wait` (default): retry each blob after pauses of
   * 5 s to 5 min, and take over the blobs that the others stop landing. `exit`: end with COMMIT_FENCED, without a restart.
   */
  readonly whenFenced?: 'wait' | 'exit' | undefined
  readonly batch?: BatchConfig | undefined
}

/** A table of the runs and their batches, which Tailrace writes about itself. */
export interface RunsConfig {
  /** `catalog.schema.table`. It is in the sink of the first pipeline. */
  readonly table: string
}

export interface TailraceConfig {
  /** By name: lower-case letters, digits and `-`. The name is part of the paths of the offset file and of staging. */
  readonly pipelines: Readonly<Record<string, PipelineConfig>>
  /** The directory of offset files and staging. Default `./.tailrace`. */
  readonly stateDirectory?: string | undefined
  /**
   * Which of several processes with the same pipelines this one is: `i/n`, i from 0 to n - 1 and n up to 100, or
   * `auto/n` in a pod of a StatefulSet or of an Indexed Job. Each reads its own part of the blobs. Default: it reads all.
   */
  readonly shard?: string | undefined
  readonly disk?: DiskConfig | undefined
  /** Default: no server. */
  readonly metrics?: MetricsConfig | undefined
  /** Default: a page on this machine alone; false: none. */
  readonly page?: PageConfig | false | undefined
  readonly health?: HealthConfig | undefined
  /** Record runs and batches in a table. Default: they are only logged. */
  readonly runs?: RunsConfig | undefined
  /** Limit of an orderly stop, in milliseconds: 0 to 3,600,000. The process then ends anyway. Default 30,000. */
  readonly stopMs?: number | undefined
  readonly restart?: RestartConfig | undefined
  /** The level of the log of the command line; of `LOG_LEVEL` and this, the environment counts. Default `info`. */
  readonly logLevel?: LogLevel | undefined
}

/** Gives a config its type. `resolveConfig` later validates it and fills in defaults. */
export function defineConfig(config: TailraceConfig): TailraceConfig {
  return config
}
