import type { z as Zod } from 'zod'
import { type AccountStorage, accountStorageVariants } from '../../azure/account-storage.ts'
import { isTailraceError } from '../../errors.ts'
import type { Evolution } from '../../tables/table.ts'
import { z } from '../../zod.ts'
import { retainDaysBounds } from '../retain-days.ts'
import type { SinkTarget } from '../sink.ts'
import { parseTableLocation } from './storage/location.ts'

const MiB = 1024 * 1024

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
  readonly storage?: AccountStorage | undefined
  /**
   * Whether columns of the declaration that an existing table lacks are added to it, with the first rows that are
   * landed; otherwise such a table is refused. Default `own-tables`: if the table has all columns that begin with
   * `source_`, `parse_status` and `ingest_ts`, as those have that Tailrace created.
   */
  readonly evolve?: Evolution | undefined
  /** How small files are merged while the pipeline runs; false for not at all. */
  readonly optimize?: OptimizeConfig | false | undefined
  /**
   * Days before today (UTC) whose rows stay: 1 to 36,500. A running pipeline deletes the rows of earlier days once a day, as
   * `tailrace retain` does. Default: all stay.
   */
  readonly retainDays?: number | undefined
  /** Whether a running pipeline deletes the files that no version needs once a day, as `tailrace vacuum` does. Default false. */
  readonly vacuum?: boolean | undefined
  /**
   * When offsets of blobs that have not changed for long move out of memory and the table's log, into an archive beside it;
   * false for never. Releases that do not know the archive refuse such a table.
   */
  readonly archiveOffsets?: ArchiveOffsetsConfig | false | undefined
}

/** Moving old offsets into the table's archive, once a day; see docs/offset-archive.md. */
export interface ArchiveOffsetsConfig {
  /** Days for which an offset has not changed: 1 to 36,500. Default 2. */
  readonly afterDays?: number | undefined
  /** Nothing moves before there are so many of them: 1 to 10,000,000. Default 10,000. */
  readonly minOffsets?: number | undefined
}

/** Merging of small files while a pipeline runs; see docs/operations.md. */
export interface OptimizeConfig {
  /**
   * A partition is left alone until it has this many small files: 2 to 100,000. Default 100. In a partition that is over,
   * fewer are enough where the merged file is not small.
   */
  readonly minFiles?: number | undefined
  /** Bytes that a merged file should come to: 1 MiB to 4 GiB. Default 128 MiB. */
  readonly targetBytes?: number | undefined
  /** Whether the rows of a merged file are sorted by `event_time`. Default false: they stay as they came. */
  readonly sortByTime?: boolean | undefined
}

const optimize = z.strictObject({
  minFiles: z.int().min(2).max(100_000).default(100),
  targetBytes: z
    .int()
    .min(MiB)
    .max(4 * 1024 * MiB)
    .default(128 * MiB),
  sortByTime: z.boolean().default(false),
})

const archiveOffsets = z.strictObject({
  afterDays: z.int().min(1).max(36_500).default(2),
  minOffsets: z.int().min(1).max(10_000_000).default(10_000),
})

/** The options of a `delta` sink, with their defaults. */
export const deltaOptions = z.strictObject({
  kind: z.literal('delta'),
  root: z
    .string()
    .min(1)
    .check(({ value, issues }) => {
      try {
        parseTableLocation(value, '/')
      } catch (error) {
        if (!isTailraceError(error)) throw error
        issues.push({
          code: 'custom',
          message: error.message.replace(/^.*, expected/, 'expected'),
          input: value,
        })
      }
    }),
  storage: z
    // The embedded storage is a variant only so that its mistake names what is expected.
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('embedded') }), ...accountStorageVariants])
    .refine((given) => given.kind !== 'embedded', 'expected the storage of an account')
    .transform((given) => given as Exclude<typeof given, { kind: 'embedded' }>)
    .optional(),
  evolve: z.union([z.boolean(), z.literal('own-tables')]).default('own-tables'),
  optimize: z
    .union([z.literal(false), optimize], {
      error: 'expected false, or { minFiles, targetBytes, sortByTime }',
    })
    .prefault({}),
  retainDays: z.int().min(retainDaysBounds.min).max(retainDaysBounds.max).optional(),
  vacuum: z.boolean().default(false),
  archiveOffsets: z
    .union([z.literal(false), archiveOffsets], {
      error: 'expected false, or { afterDays, minOffsets }',
    })
    .prefault({}),
})

/** How `tailrace optimize` merges files where the config turns merging off for a run. */
export const defaultOptimize = optimize.parse({})

/** A `delta` sink of a resolved config. */
export type DeltaOptions = Readonly<Zod.infer<typeof deltaOptions>>

/** @returns the table's name in offset files */
export function offsetsTableOf({ table }: Pick<DeltaTarget, 'table'>): string {
  return Object.values(table.name).join('.')
}

/** A pipeline whose table is a directory or a folder in Azure, with a log that Tailrace itself writes. */
export type DeltaTarget = SinkTarget<DeltaOptions>
