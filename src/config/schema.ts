import { z } from 'zod'
import { fixedBlobOf, parseSasUrl, sasMismatch } from '../azure/sas-url.ts'
import { isTailraceError } from '../errors.ts'
import { databricksSink } from '../sinks/databricks/options.ts'
import { parseTableLocation } from '../sinks/delta/storage/location.ts'
import { isServerResourceId, looksLikeResourceId } from '../sources/discovery/azure-monitor-layout.ts'
import { isPattern, patternMistake } from '../sources/discovery/blob-selection.ts'
import { parseTableName, partitionMistake, type TableDeclaration } from '../tables/table.ts'
import type { CustomTransform } from '../transforms/record-transform.ts'
import { besideOthers, tooSmall } from './mistakes.ts'
import type { BlobsConfig, SourceConfig } from './options.ts'

const KiB = 1024
const MiB = 1024 * KiB
const hourMs = 3_600_000

const whole = (min: number, max: number): z.ZodNumber => z.int().min(min).max(max)
const bytes = (min: number, max: number): z.ZodNumber => whole(min, max)

const sasForm = { error: 'expected a URL with a signature (sig=…), or a function that gives one' }

// What the SDK cannot do without; it has the last word when it connects.
const connectionStringForm = /(?:^|;)\s*(?:AccountName|BlobEndpoint|UseDevelopmentStorage)\s*=/i

const storage = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('embedded') }),
  z.strictObject({
    kind: z.literal('connection-string'),
    connectionString: z
      .string()
      .min(1)
      .regex(
        connectionStringForm,
        'expected …;AccountName=…;AccountKey=… or BlobEndpoint=…;SharedAccessSignature=…',
      ),
  }),
  z.strictObject({
    kind: z.literal('shared-key'),
    account: z
      .string()
      .regex(/^(?:[a-z0-9]{3,24}|https?:\/\/[^?#\s]+)$/, 'expected an account name or its URL'),
    key: z.base64('expected a key in base64').min(1),
  }),
  z.strictObject({
    kind: z.literal('account'),
    // The identity library gives no token for a request that could be read on its way.
    account: z
      .string()
      .regex(/^(?:[a-z0-9]{3,24}|https:\/\/[^?#\s]+)$/, 'expected an account name or its https URL'),
    managedIdentityClientId: z.guid().optional(),
  }),
  z.strictObject({
    kind: z.literal('sas'),
    url: z.union(
      [
        z.string().refine((text) => parseSasUrl(text) !== undefined, sasForm),
        z.custom<() => string | Promise<string>>((value) => typeof value === 'function'),
      ],
      sasForm,
    ),
  }),
])

const blobs = z.union([z.string(), z.strictObject({ azureMonitor: z.string() })], {
  error: 'expected a text, or { azureMonitor: a resource id }',
})

const instantForm = { error: 'expected a time with its offset, such as 2026-11-24T00:00:00Z, or a Date' }
const instant = z.union([z.date(instantForm), z.iso.datetime({ offset: true, ...instantForm })], instantForm)

const source = z
  .strictObject({
    storage,
    // https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
    container: z.string().regex(/^(?:\$\w+|[a-z0-9](?:-?[a-z0-9]){2,62})$/, 'expected a container name'),
    blobs: blobs.transform((given, context): BlobsConfig => {
      const message = blobsMistake(given)
      if (message !== undefined) context.issues.push({ code: 'custom', message, input: given })
      const id = resourceIdOf(given)
      return id === undefined ? given : { azureMonitor: id.replace(/\/$/, '') }
    }),
    coldStart: z.enum(['earliest', 'latest']).default('earliest'),
    startTime: instant.transform((value) => new Date(value).getTime()).optional(),
    pollMs: whole(100, hourMs).default(5_000),
    maxPollMs: whole(100, hourMs).optional(),
    discoverMs: whole(100, hourMs).default(30_000),
    watchMs: whole(hourMs, 30 * 24 * hourMs).default(48 * hourMs),
    rangeBytes: bytes(64 * KiB, 64 * MiB).default(2 * MiB),
    maxBufferedBytes: bytes(64 * KiB, 16 * 1024 * MiB).default(64 * MiB),
    maxLanes: whole(1, 1024).default(16),
    maxLineBytes: bytes(KiB, 64 * MiB).default(16 * MiB),
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
    ...(startTime === undefined ? {} : { startTimeMs: startTime }),
  }))

function sasMistake({
  storage,
  container,
  blobs,
}: Pick<SourceConfig, 'storage' | 'container' | 'blobs'>): string | undefined {
  const sas = storage.kind === 'sas' && typeof storage.url === 'string' ? parseSasUrl(storage.url) : undefined
  return sas && sasMismatch(sas, container, fixedBlobOf(blobs))
}

function resourceIdOf(given: BlobsConfig): string | undefined {
  if (typeof given !== 'string') return given.azureMonitor
  return looksLikeResourceId(given) ? given : undefined
}

function blobsMistake(given: BlobsConfig): string | undefined {
  const id = resourceIdOf(given)
  if (id !== undefined) {
    return isServerResourceId(id)
      ? undefined
      : 'expected /subscriptions/…/resourceGroups/…/providers/Microsoft.DBforPostgreSQL/flexibleServers/NAME'
  }
  const text = String(given)
  if (text === '' || text.length > 1024) return 'expected 1 to 1024 characters'
  return isPattern(text) ? patternMistake(text) : undefined
}

const isTransform = (value: unknown): boolean =>
  typeof value === 'function' ||
  (typeof value === 'object' &&
    value !== null &&
    typeof (value as { stream?: unknown }).stream === 'function')

function isTable(value: unknown): boolean {
  const { name, columns, projection } = (value ?? {}) as Partial<TableDeclaration>
  if (!Array.isArray(columns) || typeof projection?.select !== 'function') return false
  try {
    parseTableName(`${name?.catalog}.${name?.schema}.${name?.table}`)
    return true
  } catch {
    return false
  }
}

const optimize = z.strictObject({
  minFiles: whole(2, 100_000).default(100),
  targetBytes: bytes(MiB, 4 * 1024 * MiB).default(128 * MiB),
  sortByTime: z.boolean().default(false),
})

/** The options of a `delta` sink, with their defaults. */
export const deltaSink = z.strictObject({
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
  storage: storage
    .refine((given) => given.kind !== 'embedded', 'expected the storage of an account')
    .transform((given) => given as Exclude<typeof given, { kind: 'embedded' }>)
    .optional(),
  evolve: z.boolean().default(false),
  optimize: z.union([z.literal(false), optimize]).prefault({}),
})

/** How `tailrace optimize` merges files where the config turns merging off for a run. */
export const defaultOptimize = optimize.parse({})

/** When a batch is sealed where the config does not say. */
function usualBatch(sink: { readonly kind: string; readonly mode?: string }) {
  return {
    maxBytes: sink.mode === 'merge' ? 4 * MiB : 64 * MiB,
    // A load into a warehouse takes seconds and is paid for, however little it holds.
    maxAgeMs: sink.kind === 'databricks' ? 60_000 : 10_000,
  }
}

/** One pipeline, with its defaults. */
export const pipelineSchema = z
  .strictObject({
    source,
    transforms: z
      .array(z.custom<CustomTransform>(isTransform, 'expected a function or { stream: () => Transform }'))
      .default([]),
    table: z
      .custom<TableDeclaration>(isTable, {
        error: 'expected a table declaration, such as postgresLogs(name)',
        abort: true,
      })
      .refine((table) => partitionMistake(table) === undefined, {
        error: ({ input }) => partitionMistake(input as TableDeclaration),
      }),
    sink: z.discriminatedUnion('kind', [deltaSink, databricksSink]),
    whenFenced: z.enum(['wait', 'exit']).default('wait'),
    batch: z
      .strictObject({
        maxBytes: bytes(64 * KiB, 1024 * MiB).optional(),
        maxRows: whole(1, 100_000_000).default(1_000_000),
        maxAgeMs: whole(10, hourMs).optional(),
      })
      .prefault({}),
  })
  .transform(({ batch, ...rest }) => {
    const usual = usualBatch(rest.sink)
    const { maxBytes = usual.maxBytes, maxAgeMs = usual.maxAgeMs, maxRows } = batch
    return { ...rest, batch: { maxBytes, maxRows, maxAgeMs } }
  })

/** A whole config, with its defaults; the names of its pipelines are checked apart. */
export const configSchema = z.strictObject({
  pipelines: z
    // Of an entry whose key is refused, zod does not check the value.
    .record(z.string(), pipelineSchema)
    .refine((pipelines) => Object.keys(pipelines).length > 0, 'expected at least one pipeline'),
  stateDirectory: z.string().min(1).default('./.tailrace'),
  disk: z
    .strictObject({
      minFreeBytes: bytes(0, Number.MAX_SAFE_INTEGER).default(512 * MiB),
      resumeFreeBytes: bytes(0, Number.MAX_SAFE_INTEGER).optional(),
      checkMs: whole(100, 600_000).default(5_000),
      expireMs: whole(60_000, 30 * 24 * hourMs).default(hourMs),
    })
    .refine(({ minFreeBytes, resumeFreeBytes = minFreeBytes }) => resumeFreeBytes >= minFreeBytes, {
      path: ['resumeFreeBytes'],
      error: ({ input }) => tooSmall(input, 'resumeFreeBytes', 'minFreeBytes', 'disk.'),
      ...besideOthers('minFreeBytes', 'resumeFreeBytes'),
    })
    .prefault({}),
  metrics: z
    .strictObject({ port: whole(0, 65_535), host: z.string().min(1).max(253).default('127.0.0.1') })
    .optional(),
  stopMs: whole(0, hourMs).default(30_000),
  restart: z
    .strictObject({
      minPauseMs: whole(10, hourMs).default(5_000),
      maxPauseMs: whole(10, 24 * hourMs).default(300_000),
    })
    .refine(({ minPauseMs, maxPauseMs }) => maxPauseMs >= minPauseMs, {
      path: ['maxPauseMs'],
      error: ({ input }) => tooSmall(input, 'maxPauseMs', 'minPauseMs', 'restart.'),
      ...besideOthers('minPauseMs', 'maxPauseMs'),
    })
    .prefault({}),
})
