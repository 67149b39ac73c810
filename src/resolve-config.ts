import { isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import type { TailraceConfig } from './config.ts'
import { TailraceError } from './errors.ts'
import { redactSecrets } from './redact.ts'
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
    kind: z.literal('account'),
    account: z.string().regex(/^(?:[a-z0-9]{3,24}|https?:\/\/.+)$/),
  }),
  z.strictObject({
    kind: z.literal('sas'),
    url: z.url().regex(/[?&]sig=/, 'expected a URL with a signature (sig=…)'),
  }),
])

const source = z.strictObject({
  storage,
  // https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
  container: z.string().regex(/^(?:\$\w+|[a-z0-9](?:-?[a-z0-9]){2,62})$/, 'expected a container name'),
  blobs: z.string().min(1).max(1024),
  coldStart: z.enum(['earliest', 'latest']).default('earliest'),
  pollMs: whole(100, hourMs).default(5_000),
  discoverMs: whole(100, hourMs).default(30_000),
  rangeBytes: bytes(64 * KiB, 64 * MiB).default(2 * MiB),
  maxLanes: whole(1, 1024).default(16),
  maxLineBytes: bytes(KiB, 64 * MiB).default(16 * MiB),
})

const isTransform = (value: unknown): boolean =>
  typeof value === 'function' ||
  (typeof value === 'object' &&
    value !== null &&
    typeof (value as { stream?: unknown }).stream === 'function')

const pipeline = z.strictObject({
  source,
  transforms: z
    .array(z.custom<CustomTransform>(isTransform, 'expected a function or { stream: () => Transform }'))
    .default([]),
  table: z.custom<TableDeclaration>(
    (value) => typeof value === 'object' && value !== null && 'columns' in value && 'projection' in value,
    'expected a table declaration, such as postgresLogs(name)',
  ),
  sink: z.strictObject({
    kind: z.literal('delta'),
    root: z
      .string()
      .min(1)
      .refine(
        (root) => !/^[a-z]+:\/\//i.test(root),
        'expected a directory; tables in Azure storage are not supported yet',
      ),
  }),
  batch: z
    .strictObject({
      maxBytes: bytes(64 * KiB, 1024 * MiB).default(64 * MiB),
      maxRows: whole(1, 100_000_000).default(1_000_000),
      maxAgeMs: whole(10, hourMs).default(10_000),
    })
    .prefault({}),
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
  stopMs: whole(0, hourMs).default(30_000),
})

/** A config with every default filled in and every path absolute. */
export type ResolvedConfig = Readonly<z.infer<typeof config>>
/** One pipeline of a resolved config. */
export type ResolvedPipeline = Readonly<z.infer<typeof pipeline>>

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
        { ...one, sink: { ...one.sink, root: absolute(one.sink.root) } },
      ]),
    ),
  })
}

/** Where a pipeline's table lies. */
export function tableDirectory({ sink, table }: Pick<ResolvedPipeline, 'sink' | 'table'>): string {
  return resolve(sink.root, table.name.catalog, table.name.schema, table.name.table)
}

function crossChecks({ pipelines, disk }: ResolvedConfig): string[] {
  const mistakes: string[] = []
  if (disk.resumeFreeBytes !== undefined && disk.resumeFreeBytes < disk.minFreeBytes) {
    mistakes.push(
      `disk.resumeFreeBytes: found ${disk.resumeFreeBytes}, expected at least disk.minFreeBytes (${disk.minFreeBytes})`,
    )
  }
  const owners = new Map<string, string>()
  for (const [name, one] of Object.entries(pipelines)) {
    const key = JSON.stringify([
      one.source.storage,
      one.source.container,
      one.source.blobs,
      tableDirectory(one),
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
  return [`${path || 'config'}: found ${shown(found)}, ${expected(issue)}`]
}

function expected(issue: z.core.$ZodIssue): string {
  const message = issue.message.replace(/^Invalid (?:input|option): /, '').replace(/, received .*$/, '')
  if (issue.code === 'too_small')
    return `expected at least ${String(issue.minimum)}${issue.origin === 'string' ? ' characters' : ''}`
  if (issue.code === 'too_big')
    return `expected at most ${String(issue.maximum)}${issue.origin === 'string' ? ' characters' : ''}`
  return message.startsWith('expected') ? message : `expected something else (${message})`
}

/** A value short enough for a message, without secrets. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'function') return 'a function'
  const text = redactSecrets(
    JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner)) ??
      String(value),
  )
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
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
