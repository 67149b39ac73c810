import type { ColdStart } from './sources/blob-start.ts'
import type { CustomTransform } from './streams/record-transform.ts'
import type { TableDeclaration } from './tables/table.ts'

/** Which storage account the logs are in, and how to get in. Secrets come from the environment or an identity. */
export type StorageConfig =
  /** Azurite in this process, filled with the sample logs that ship with Tailrace. */
  | { readonly kind: 'embedded' }
  | { readonly kind: 'connection-string'; readonly connectionString: string }
  /** An account by name or URL, with `DefaultAzureCredential`. */
  | { readonly kind: 'account'; readonly account: string }
  /** A SAS URL of the account or of the container. */
  | { readonly kind: 'sas'; readonly url: string }

export interface SourceConfig {
  readonly storage: StorageConfig
  readonly container: string
  /** A blob name, or a prefix ending in `/` for every blob under it. */
  readonly blobs: string
  /** Where a blob that was never seen begins. Default `earliest`. */
  readonly coldStart?: ColdStart
  /** Pause between polls at a blob's end, in milliseconds: 100 to 3,600,000. Default 5,000. */
  readonly pollMs?: number
  /** Pause between looks for new blobs under a prefix, in milliseconds: 100 to 3,600,000. Default 30,000. */
  readonly discoverMs?: number
  /** Bytes of one range request: 64 KiB to 64 MiB. Default 2 MiB. */
  readonly rangeBytes?: number
  /** Blobs that are read at the same time; the others wait, oldest first: 1 to 1,024. Default 16. */
  readonly maxLanes?: number
  /** Longer lines become rejected rows: 1 KiB to 64 MiB. Default 16 MiB. */
  readonly maxLineBytes?: number
}

export interface DeltaSinkConfig {
  readonly kind: 'delta'
  /** Root of the tables; a table lies at `<root>/<catalog>/<schema>/<table>`. */
  readonly root: string
}

/** When a batch is sealed: by whichever comes first. */
export interface BatchConfig {
  /** Source bytes: 64 KiB to 1 GiB. Default 64 MiB. */
  readonly maxBytes?: number
  /** Rows: 1 to 100,000,000. Default 1,000,000. */
  readonly maxRows?: number
  /** Milliseconds since its first record: 10 to 3,600,000. Default 10,000. */
  readonly maxAgeMs?: number
}

export interface DiskConfig {
  /** Below this many free bytes the stream is held. Default 512 MiB. */
  readonly minFreeBytes?: number
  /** From this many free bytes it goes on. Default 1.1 times `minFreeBytes`. */
  readonly resumeFreeBytes?: number
  /** Pause between looks, in milliseconds: 100 to 600,000. Default 5,000. */
  readonly checkMs?: number
  /** Age from which a staging file is a leftover, in milliseconds. Default 3,600,000. */
  readonly expireMs?: number
}

export interface PipelineConfig {
  readonly source: SourceConfig
  /** Applied to every record, in order. Default none. */
  readonly transforms?: readonly CustomTransform[]
  readonly table: TableDeclaration
  readonly sink: DeltaSinkConfig
  readonly batch?: BatchConfig
}

export interface TailraceConfig {
  /** By name: lower-case letters, digits and `-`. The name is part of the offsets' identity in the table. */
  readonly pipelines: Readonly<Record<string, PipelineConfig>>
  /** Offset files and staging. Default `./.tailrace`. */
  readonly stateDirectory?: string
  readonly disk?: DiskConfig
  /** How long a stop may take before the process gives up, in milliseconds: 0 to 3,600,000. Default 30,000. */
  readonly stopMs?: number
}

/** Types a config. Checking and defaults come later, when the config is resolved. */
export function defineConfig(config: TailraceConfig): TailraceConfig {
  return config
}
