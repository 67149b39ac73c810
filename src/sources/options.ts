import type { z as Zod } from 'zod'
import { type AccountStorage, accountStorageVariants } from '../azure/account-storage.ts'
import { parseSasUrl, sasMismatch } from '../azure/sas-url.ts'
import { besideOthers, tooSmall } from '../reporting/option-mistakes.ts'
import { z } from '../zod.ts'
import { isResourceId, looksLikeResourceId } from './discovery/azure-monitor-layout.ts'
import { type BlobsConfig, fixedBlobOf, isPattern, patternMistake } from './discovery/blob-selection.ts'
import type { ColdStart } from './recognition/identify-blob.ts'

const KiB = 1024
const MiB = 1024 * KiB
const hourMs = 3_600_000

const whole = (min: number, max: number): Zod.ZodNumber => z.int().min(min).max(max)

/** Which storage account the logs are in, and how to get in. */
export type StorageConfig =
  /** Azurite in this process, filled with the sample logs that ship with Tailrace. */
  { readonly kind: 'embedded' } | AccountStorage

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
  /** Pause between scans for new blobs, in milliseconds: 100 to 3,600,000. Default 30,000. */
  readonly discoverMs?: number | undefined
  /**
   * Pause between two listings of a day of Azure Monitor, in milliseconds: 30,000 to 86,400,000. They find changes that
   * requests by name do not. Default 3,600,000.
   */
  readonly listMs?: number | undefined
  /**
   * How long a day of Azure Monitor is listed after its end and its last growth, in milliseconds: 3,600,000 to
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

const storage = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('embedded') }),
  ...accountStorageVariants,
])

const ids = z.union([z.string(), z.array(z.string()).min(1).max(10_000)])
const blobs = z.union([z.string(), z.strictObject({ azureMonitor: ids })], {
  error: 'expected a text, or { azureMonitor: a resource id, or several }',
})

const instantForm = { error: 'expected a time with its offset, such as 2026-11-24T00:00:00Z, or a Date' }
const instant = z.union([z.date(instantForm), z.iso.datetime({ offset: true, ...instantForm })], instantForm)

/** The options of a source, with their defaults. */
export const sourceOptions = z
  .strictObject({
    storage,
    // https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
    container: z.string().regex(/^(?:\$\w+|[a-z0-9](?:-?[a-z0-9]){2,62})$/, 'expected a container name'),
    blobs: blobs.transform((given, context): BlobsConfig => {
      const message = blobsMistake(given)
      if (message !== undefined) context.issues.push({ code: 'custom', message, input: given })
      const id = resourceIdOf(given)
      if (id === undefined) return given
      const plain = (one: string): string => one.replace(/\/$/, '')
      return { azureMonitor: typeof id === 'string' ? plain(id) : id.map(plain) }
    }),
    coldStart: z.enum(['earliest', 'latest']).default('earliest'),
    startTime: instant.transform((value) => new Date(value).getTime()).optional(),
    pollMs: whole(100, hourMs).default(5_000),
    maxPollMs: whole(100, hourMs).optional(),
    discoverMs: whole(100, hourMs).default(30_000),
    listMs: whole(30_000, 24 * hourMs).default(hourMs),
    watchMs: whole(hourMs, 30 * 24 * hourMs).default(48 * hourMs),
    rangeBytes: whole(64 * KiB, 64 * MiB).default(2 * MiB),
    maxBufferedBytes: whole(64 * KiB, 16 * 1024 * MiB).default(64 * MiB),
    maxLanes: whole(1, 1024).default(16),
    maxLineBytes: whole(KiB, 64 * MiB).default(16 * MiB),
  })
  .refine(({ pollMs, maxPollMs = pollMs }) => maxPollMs >= pollMs, {
    path: ['maxPollMs'],
    error: ({ input }) => tooSmall(input, 'maxPollMs', 'pollMs'),
    ...besideOthers('pollMs', 'maxPollMs'),
  })
  .refine(({ rangeBytes, maxBufferedBytes }) => maxBufferedBytes >= rangeBytes, {
    path: ['maxBufferedBytes'],
    error: ({ input }) => tooSmall(input, 'maxBufferedBytes', 'rangeBytes'),
    ...besideOthers('rangeBytes', 'maxBufferedBytes'),
  })
  .refine((one) => sasMistake(one) === undefined, {
    path: ['storage', 'url'],
    error: ({ input }) => sasMistake(input as Pick<SourceConfig, 'storage' | 'container' | 'blobs'>),
    ...besideOthers('storage', 'container', 'blobs'),
  })
  .transform(({ startTime, maxPollMs, ...rest }) => ({
    ...rest,
    // A slower poll than the default bound is meant as it stands.
    maxPollMs: maxPollMs ?? Math.max(30_000, rest.pollMs),
    startTimeMs: startTime,
  }))

function sasMistake({
  storage,
  container,
  blobs,
}: Pick<SourceConfig, 'storage' | 'container' | 'blobs'>): string | undefined {
  const sas = storage.kind === 'sas' && typeof storage.url === 'string' ? parseSasUrl(storage.url) : undefined
  return sas && sasMismatch(sas, container, fixedBlobOf(blobs))
}

function resourceIdOf(given: BlobsConfig): string | readonly string[] | undefined {
  if (typeof given !== 'string') return given.azureMonitor
  return looksLikeResourceId(given) ? given : undefined
}

function blobsMistake(given: BlobsConfig): string | undefined {
  const id = resourceIdOf(given)
  if (id !== undefined) {
    const isText = typeof given === 'string'
    return [id].flat().every((one) => isResourceId(one) || (one === '*' && !isText))
      ? undefined
      : 'expected /subscriptions/…/resourceGroups/…/providers/Microsoft.DBforPostgreSQL/flexibleServers/NAME, or its part up to a subscription or a resource group'
  }
  const text = String(given)
  if (text === '' || text.length > 1024) return 'expected 1 to 1024 characters'
  return isPattern(text) ? patternMistake(text) : undefined
}

/** A source of a resolved config. */
export type SourceOptions = Readonly<Zod.infer<typeof sourceOptions>>
