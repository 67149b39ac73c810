import type { WorkspaceAuth } from '../sinks/databricks/workspace/auth.ts'
import type { ColdStart } from '../sources/recognition/identify-blob.ts'
import type { TableDeclaration } from '../tables/table.ts'
import type { CustomTransform } from '../transforms/record-transform.ts'

/** Which storage account the logs are in, and how to get in. Secrets come from the environment or an identity. */
export type StorageConfig =
  /** Azurite in this process, filled with the sample logs that ship with Tailrace. */
  | { readonly kind: 'embedded' }
  | { readonly kind: 'connection-string'; readonly connectionString: string }
  /** An account by name or URL, with one of its keys. */
  | { readonly kind: 'shared-key'; readonly account: string; readonly key: string }
  /**
   * An account by name or `https` URL (which of other clouds than the public one names their sign-in too), with
   * `DefaultAzureCredential`, or with the user-assigned managed identity of a client id.
   */
  | {
      readonly kind: 'account'
      readonly account: string
      readonly managedIdentityClientId?: string | undefined
    }
  /** A SAS URL of the account, the container or one blob, or a function that gives a new one before it ends. */
  | { readonly kind: 'sas'; readonly url: string | (() => string | Promise<string>) }

/**
 * Which blobs of a container: a blob name; a prefix ending in `/`; a pattern, which holds `*`, `?` or `{`; or the hours
 * that Azure Monitor writes for the PostgreSQL server of a resource id. A text that begins with `/subscriptions/` is
 * such an id.
 */
export type BlobsConfig = string | { readonly azureMonitor: string }

export interface SourceConfig {
  readonly storage: StorageConfig
  readonly container: string
  readonly blobs: BlobsConfig
  /** Where a blob that was never seen begins. Default `earliest`. */
  readonly coldStart?: ColdStart | undefined
  /**
   * Listed blobs last modified before it are left out, and of Azure Monitor the hours before its hour: an ISO text
   * with its offset or `Z`, or a Date. Default none.
   */
  readonly startTime?: string | Date | undefined
  /** Pause between polls at the end of a blob that grows, in milliseconds: 100 to 3,600,000. Default 5,000. */
  readonly pollMs?: number | undefined
  /**
   * Pause that polls of a quiet blob may grow to, in milliseconds: `pollMs` to 3,600,000. Default 30,000, or `pollMs`
   * if that is more.
   */
  readonly maxPollMs?: number | undefined
  /** Pause between looks for new blobs, in milliseconds: 100 to 3,600,000. Default 30,000. */
  readonly discoverMs?: number | undefined
  /**
   * How long a day of Azure Monitor stays watched after its end and its last growth, in milliseconds: 3,600,000 to
   * 2,592,000,000 (30 days). Default 172,800,000 (48 h).
   */
  readonly watchMs?: number | undefined
  /** Bytes of one range request: 64 KiB to 64 MiB. Default 2 MiB. */
  readonly rangeBytes?: number | undefined
  /** Bytes of ranges that the pipeline holds in memory, over all blobs: `rangeBytes` to 16 GiB. Default 64 MiB. */
  readonly maxBufferedBytes?: number | undefined
  /** Blobs that are read at the same time; the others wait, oldest first: 1 to 1,024. Default 16. */
  readonly maxLanes?: number | undefined
  /** Longer lines become rejected rows: 1 KiB to 64 MiB. Default 16 MiB. */
  readonly maxLineBytes?: number | undefined
}

export interface DeltaSinkConfig {
  readonly kind: 'delta'
  /**
   * Root of the tables; a table lies at `<root>/<catalog>/<schema>/<table>`. A directory, or a folder in Azure storage:
   * `abfss://container@account.dfs.core.windows.net/folder`, `https://account.blob.core.windows.net/container/folder`.
   * No credential belongs into it.
   */
  readonly root: string
  /**
   * How to get into the account of an Azure root. Default: as the source does when it is the same account, else with
   * `DefaultAzureCredential`.
   */
  readonly storage?: Exclude<StorageConfig, { readonly kind: 'embedded' }> | undefined
  /**
   * Whether columns of the declaration that an existing table lacks are added to it, with the first rows that are
   * landed. Default false: such a table is refused.
   */
  readonly evolve?: boolean | undefined
  /** How small files are merged while the pipeline runs; false for not at all. */
  readonly optimize?: OptimizeConfig | false | undefined
}

/** Tables of a Databricks workspace, by the names of the table declarations; see docs/databricks.md. */
export interface DatabricksSinkConfig {
  readonly kind: 'databricks'
  /** Host name of the workspace, such as `adb-1234567890123456.7.azuredatabricks.net`; a port may follow it. */
  readonly host: string
  /**
   * HTTP path of the SQL warehouse, `/sql/1.0/warehouses/<id>`. Only `stage-only` with `upload: 'files-api'` does
   * without one.
   */
  readonly httpPath?: string | undefined
  readonly auth: WorkspaceAuth
  /**
   * How rows get into the table. `copy-into` (default): a file in a volume is loaded by COPY INTO. `merge`: rows travel
   * as the parameter of a MERGE, for low volumes where there is no volume. `stage-only`: files are left in the volume
   * for an Auto Loader or a streaming table.
   */
  readonly mode?: 'copy-into' | 'merge' | 'stage-only' | undefined
  /**
   * Where files are staged, a volume or a folder in one: `/Volumes/catalog/schema/volume/folder`. Needed by all modes
   * but `merge`. One pipeline's files lie in a folder of its own below it.
   */
  readonly volume?: string | undefined
  /** How files get into the volume: by the driver's PUT through the warehouse (default), or by the Files API. */
  readonly upload?: 'put' | 'files-api' | undefined
  /** Whether a table that is missing is created. Default true. */
  readonly createTable?: boolean | undefined
  /**
   * How a table that is created is laid out. Default `{ clusterBy: 'auto' }`, which a workspace without predictive
   * optimization refuses: name columns then.
   */
  readonly layout?:
    | { readonly clusterBy: 'auto' | readonly string[] }
    | { readonly partitionBy: readonly string[] }
    | undefined
  /** Properties of a table that is created. Default none. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  /**
   * Whether columns of the declaration that an existing table lacks are added to it. Default false: such a table is
   * refused.
   */
  readonly evolve?: boolean | undefined
  /**
   * Age from which staged files are removed, in milliseconds: 3,600,000 to 31,536,000,000 (a year). Default a day; with
   * `stage-only` never, because nothing tells when a file was taken.
   */
  readonly stagedRetentionMs?: number | undefined
  /** Longest time that one statement may take, in milliseconds: 10,000 to 86,400,000. Default 600,000. */
  readonly statementTimeoutMs?: number | undefined
  /** An HTTP proxy, such as `http://proxy.example:3128`. Default none. */
  readonly proxy?: string | undefined
  /** A PEM file with a certificate authority to trust beside the usual ones. Default none. */
  readonly customCaFile?: string | undefined
}

export type SinkConfig = DeltaSinkConfig | DatabricksSinkConfig

/** Merging of small files while a pipeline runs; see docs/operations.md. */
export interface OptimizeConfig {
  /** A partition is left alone until it has this many small files: 2 to 100,000. Default 100. */
  readonly minFiles?: number | undefined
  /** Bytes that a merged file should come to: 1 MiB to 4 GiB. Default 128 MiB. */
  readonly targetBytes?: number | undefined
  /** Whether the rows of a merged file are sorted by `event_time`. Default false: they stay as they came. */
  readonly sortByTime?: boolean | undefined
}

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
  /** By name: lower-case letters, digits and `-`. The name is part of the offsets' identity in the table. */
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
