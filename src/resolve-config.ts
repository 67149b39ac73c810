import { isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import type { BlobsConfig, TailraceConfig } from './config.ts'
import { isTailraceError, TailraceError } from './errors.ts'
import { masked, redactSecrets } from './redact.ts'
import { databricksSink, type ResolvedDatabricksSink } from './resolve-databricks.ts'
import {
  locationBelow,
  locationText,
  parseTableLocation,
  type TableLocation,
} from './sinks/delta/table-location.ts'
import { isPattern, patternMistake } from './sources/discovery/blob-pattern.ts'
import { isServerResourceId, looksLikeResourceId } from './sources/discovery/server-resource-id.ts'
import { fixedBlobOf, parseSasUrl, sasMismatch } from './sources/sas-url.ts'
import type { CustomTransform } from './streams/record-transform.ts'
import type { TableDeclaration } from './tables/table.ts'

const KiB = 1024
const MiB = 1024 * KiB
const hourMs = 3_600_000

const whole = (min: number, max: number): z.ZodNumber => z.int().min(min).max(max)
const bytes = (min: number, max: number): z.ZodNumber => whole(min, max)

const storage = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('embedded') }),
  z.strictObject({ kind: z.literal('connection-string'), connectionString: z.string().min(1) }),
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
        z.string().refine((text) => parseSasUrl(text) !== undefined),
        z.custom<() => string | Promise<string>>((value) => typeof value === 'function'),
      ],
      { error: 'expected a URL with a signature (sig=…), or a function that gives one' },
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
  .transform(({ startTime, maxPollMs, ...rest }) => ({
    ...rest,
    // A slower poll than the default bound is meant as it stands.
    maxPollMs: maxPollMs ?? Math.max(30_000, rest.pollMs),
    ...(startTime === undefined ? {} : { startTimeMs: startTime }),
  }))

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

/** The rows of a batch that is merged are in memory as text. */
const mostMergedBytes = 16 * MiB

const isTransform = (value: unknown): boolean =>
  typeof value === 'function' ||
  (typeof value === 'object' &&
    value !== null &&
    typeof (value as { stream?: unknown }).stream === 'function')

const optimize = z.strictObject({
  minFiles: whole(2, 100_000).default(100),
  targetBytes: bytes(MiB, 4 * 1024 * MiB).default(128 * MiB),
  sortByTime: z.boolean().default(false),
})

const deltaSink = z.strictObject({
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

const pipeline = z
  .strictObject({
    source,
    transforms: z
      .array(z.custom<CustomTransform>(isTransform, 'expected a function or { stream: () => Transform }'))
      .default([]),
    table: z.custom<TableDeclaration>(
      (value) => typeof value === 'object' && value !== null && 'columns' in value && 'projection' in value,
      'expected a table declaration, such as postgresLogs(name)',
    ),
    sink: z.discriminatedUnion('kind', [deltaSink, databricksSink]),
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

const config = z.strictObject({
  pipelines: z
    .record(
      z.string().regex(/^[a-z0-9](?:-?[a-z0-9])*$/, 'expected lower-case letters, digits and -'),
      pipeline,
    )
    .refine((pipelines) => Object.keys(pipelines).length > 0, 'expected at least one pipeline'),
  stateDirectory: z.string().min(1).default('./.tailrace'),
  disk: z
    .strictObject({
      minFreeBytes: bytes(0, Number.MAX_SAFE_INTEGER).default(512 * MiB),
      resumeFreeBytes: bytes(0, Number.MAX_SAFE_INTEGER).optional(),
      checkMs: whole(100, 600_000).default(5_000),
      expireMs: whole(60_000, 30 * 24 * hourMs).default(hourMs),
    })
    .prefault({}),
  metrics: z
    .strictObject({ port: whole(0, 65_535), host: z.string().min(1).max(253).default('127.0.0.1') })
    .optional(),
  stopMs: whole(0, hourMs).default(30_000),
})

/** A config with every default filled in and every path absolute. */
export type ResolvedConfig = Readonly<z.infer<typeof config>>
/** One pipeline of a resolved config. */
export type ResolvedPipeline = Readonly<z.infer<typeof pipeline>>
/** A pipeline whose table is a directory or a folder in Azure, with a log that Tailrace itself writes. */
export interface DeltaPipeline extends ResolvedPipeline {
  readonly sink: ResolvedDeltaSink
}
/** A pipeline whose table is in a Databricks workspace. */
export interface DatabricksPipeline extends ResolvedPipeline {
  readonly sink: ResolvedDatabricksSink
}
type ResolvedDeltaSink = Readonly<z.infer<typeof deltaSink>>

/** Goes one way or the other by the kind of a pipeline's sink. */
export function bySink<T>(
  pipeline: ResolvedPipeline,
  ways: {
    readonly delta: (pipeline: DeltaPipeline) => T
    readonly databricks: (pipeline: DatabricksPipeline) => T
  },
): T {
  const { sink } = pipeline
  return sink.kind === 'delta' ? ways.delta({ ...pipeline, sink }) : ways.databricks({ ...pipeline, sink })
}

/**
 * Fills defaults, checks everything, and freezes the result.
 *
 * @param directory what relative paths are relative to
 * @throws CONFIG_INVALID that lists every mistake with its path, what was found and what was expected
 */
export function resolveConfig(input: TailraceConfig, directory: string): ResolvedConfig {
  const result = config.safeParse(input, { reportInput: true })
  const mistakes = result.success
    ? crossChecks(result.data)
    : result.error.issues.flatMap((issue) => described(issue, input))
  if (mistakes.length > 0) {
    throw new TailraceError(
      'CONFIG_INVALID',
      `The config has ${mistakes.length} ${mistakes.length === 1 ? 'mistake' : 'mistakes'}:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`,
    )
  }
  const valid = result.data as ResolvedConfig
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(directory, path))
  return deepFreeze({
    ...valid,
    stateDirectory: absolute(valid.stateDirectory),
    pipelines: Object.fromEntries(
      Object.entries(valid.pipelines).map(([name, one]) => [
        name,
        { ...one, sink: withAbsolutePaths(one.sink, directory, absolute) },
      ]),
    ),
  })
}

function withAbsolutePaths(
  sink: ResolvedPipeline['sink'],
  directory: string,
  absolute: (path: string) => string,
): ResolvedPipeline['sink'] {
  if (sink.kind === 'delta') return { ...sink, root: locationText(parseTableLocation(sink.root, directory)) }
  return sink.customCaFile === undefined ? sink : { ...sink, customCaFile: absolute(sink.customCaFile) }
}

/** Where a pipeline's table lies. */
export function tableLocation({ sink, table }: Pick<DeltaPipeline, 'sink' | 'table'>): TableLocation {
  const { catalog, schema, table: name } = table.name
  return locationBelow(parseTableLocation(sink.root, '/'), catalog, schema, name)
}

/** Names a pipeline's table, of whatever kind, so that two pipelines of one table have the same text. */
export function tableText({ sink, table }: Pick<ResolvedPipeline, 'sink' | 'table'>): string {
  if (sink.kind === 'delta') return locationText(tableLocation({ sink, table }))
  return `${sink.host}/${Object.values(table.name).join('.')}`.toLowerCase()
}

/**
 * Names a pipeline's table in its offset file. Where the file is the truth, one that was written for a table of the same
 * name elsewhere, a Delta table's above all, must not be taken for this one's.
 */
export function offsetsTable({ sink, table }: Pick<ResolvedPipeline, 'sink' | 'table'>): string {
  return sink.kind === 'delta' ? Object.values(table.name).join('.') : tableText({ sink, table })
}

/** Of each two options of a source, the first is at least the second. */
const atLeast = [
  ['maxPollMs', 'pollMs'],
  ['maxBufferedBytes', 'rangeBytes'],
] as const

function crossChecks({ pipelines, disk }: ResolvedConfig): string[] {
  const mistakes: string[] = []
  if (disk.resumeFreeBytes !== undefined && disk.resumeFreeBytes < disk.minFreeBytes) {
    mistakes.push(
      `disk.resumeFreeBytes: found ${disk.resumeFreeBytes}, expected at least disk.minFreeBytes (${disk.minFreeBytes})`,
    )
  }
  const owners = new Map<string, string>()
  // A function says nothing of its account: only the same one is known to give the same.
  const functions: unknown[] = []
  const numberOf = (one: unknown): number =>
    functions.includes(one) ? functions.indexOf(one) : functions.push(one) - 1
  for (const [name, one] of Object.entries(pipelines)) {
    const { storage, container, blobs } = one.source
    for (const [most, least] of atLeast) {
      const [found, expected] = [one.source[most], one.source[least]]
      if (found >= expected) continue
      mistakes.push(
        `pipelines.${name}.source.${most}: found ${found}, expected at least ${least} (${expected})`,
      )
    }
    if (one.sink.kind === 'databricks' && one.sink.mode === 'merge' && one.batch.maxBytes > mostMergedBytes) {
      mistakes.push(
        `pipelines.${name}.batch.maxBytes: found ${one.batch.maxBytes}, expected at most ${mostMergedBytes} with mode merge`,
      )
    }
    const sas =
      storage.kind === 'sas' && typeof storage.url === 'string' ? parseSasUrl(storage.url) : undefined
    const mismatch = sas === undefined ? undefined : sasMismatch(sas, container, fixedBlobOf(blobs))
    if (mismatch !== undefined) mistakes.push(`pipelines.${name}.source.storage.url: ${mismatch}`)
    const key = JSON.stringify([
      storage.kind === 'sas' && typeof storage.url === 'function' ? numberOf(storage.url) : storage,
      container,
      // Case does not count in a resource id.
      typeof blobs === 'string' ? blobs : { azureMonitor: blobs.azureMonitor.toLowerCase() },
      tableText(one),
    ])
    const other = owners.get(key)
    if (other !== undefined)
      mistakes.push(
        `pipelines.${name}: found the source and table of pipelines.${other}, expected another one`,
      )
    owners.set(key, name)
  }
  return mistakes
}

function described(issue: z.core.$ZodIssue, input: unknown): string[] {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${path === '' ? key : `${path}.${key}`}: found an unknown option, expected none of this name`,
    )
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map(({ message }) => `${path}: found a name that cannot be, ${message}`)
  }
  const found = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  )
  const value =
    secretOptions.has(String(issue.path.at(-1))) && typeof found === 'string' && found !== ''
      ? 'a secret'
      : shown(found)
  return [`${path || 'config'}: found ${value}, ${expected(issue)}`]
}

function expected(issue: z.core.$ZodIssue): string {
  const message = issue.message.replace(/^Invalid (?:input|option): /, '').replace(/, received .*$/, '')
  if (issue.code === 'too_small')
    return `expected at least ${String(issue.minimum)}${issue.origin === 'string' ? ' characters' : ''}`
  if (issue.code === 'too_big')
    return `expected at most ${String(issue.maximum)}${issue.origin === 'string' ? ' characters' : ''}`
  return message.startsWith('expected') ? message : `expected something else (${message})`
}

/** Their texts are secrets as a whole, with nothing in them to know a secret by. */
const secretOptions: ReadonlySet<string> = new Set([
  'key',
  'connectionString',
  'token',
  'clientSecret',
  'auth',
])

/** A value short enough for a message, without secrets. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'function') return 'a function'
  const text = redactSecrets(
    JSON.stringify(value, (key, inner) => {
      if (secretOptions.has(key) && typeof inner === 'string') return masked
      return typeof inner === 'bigint' ? `${inner}n` : inner
    }) ?? String(value),
  )
  // A name and password before a host, without the scheme that a secret would be known by.
  const bare = text.replace(/[^\s"@/]+:[^\s"@/]+@/g, `${masked}@`)
  return bare.length > 80 ? `${bare.slice(0, 77)}...` : bare
}

function deepFreeze<T>(value: T): T {
  // Table declarations and streams are values of their own; only plain objects belong to the config.
  if (
    Array.isArray(value) ||
    (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
  ) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}
