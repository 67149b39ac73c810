import { z } from 'zod'
import { besideOthers } from '../../config/mistakes.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const auth = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('token'), token: z.string().min(1) }),
  z.strictObject({
    kind: z.literal('oauth'),
    clientId: z.string().min(1),
    clientSecret: z.string().min(1),
  }),
  z.strictObject({ kind: z.literal('entra'), managedIdentityClientId: z.guid().optional() }),
])

// Only what needs no quoting in a path, a URL or an SQL literal.
const volumePath = /^\/Volumes(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+){3,}\/?$/

const columnNames = z.array(z.string().min(1)).min(1).max(4)

function modeOf(input: unknown): string {
  return (input as { readonly mode: string }).mode
}

/** The options of a `databricks` sink, with their defaults. */
export const databricksSink = z
  .strictObject({
    kind: z.literal('databricks'),
    host: z
      .string()
      // The workspace's address, as a browser shows it, is copied with both.
      .overwrite((text) => text.replace(/^https:\/\//, '').replace(/\/$/, ''))
      .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/i, 'expected a host name, without a path'),
    // https://docs.databricks.com/integrations/compute-details
    httpPath: z
      .string()
      .regex(/^\/?sql\/[A-Za-z0-9._/-]+(?:\?o=\d+)?$/, 'expected /sql/1.0/warehouses/ID')
      .optional(),
    auth,
    mode: z.enum(['copy-into', 'merge', 'stage-only']).default('copy-into'),
    volume: z
      .string()
      .regex(volumePath, 'expected /Volumes/catalog/schema/volume, with a folder or without')
      .transform((path) => path.replace(/\/$/, ''))
      .optional(),
    upload: z.enum(['put', 'files-api']).default('put'),
    createTable: z.boolean().default(true),
    layout: z
      .union([
        z.strictObject({ clusterBy: z.union([z.literal('auto'), columnNames]) }),
        z.strictObject({ partitionBy: columnNames }),
      ])
      .default({ clusterBy: 'auto' }),
    properties: z.record(z.string().min(1), z.string()).default({}),
    evolve: z.boolean().default(false),
    stagedRetentionMs: z
      .int()
      .min(hourMs)
      .max(365 * dayMs)
      .optional(),
    statementTimeoutMs: z.int().min(10_000).max(dayMs).default(600_000),
    proxy: z
      .string()
      .regex(/^https?:\/\/[^\s/]+\/?$/, 'expected http://HOST:PORT')
      .optional(),
    customCaFile: z.string().min(1).optional(),
  })
  .refine(({ mode, volume }) => mode === 'merge' || volume !== undefined, {
    path: ['volume'],
    error: ({ input }) => `found nothing, expected a volume, where mode ${modeOf(input)} stages files`,
    ...besideOthers('mode', 'volume'),
  })
  .refine(
    ({ mode, upload, httpPath }) =>
      httpPath !== undefined || (mode === 'stage-only' && upload === 'files-api'),
    {
      path: ['httpPath'],
      error: 'found nothing, expected the HTTP path of a SQL warehouse, /sql/1.0/warehouses/ID',
      ...besideOthers('mode', 'upload', 'httpPath'),
    },
  )
  .transform(({ stagedRetentionMs, ...rest }) => ({
    ...rest,
    // An Auto Loader may come by much later than a file does, and nothing tells when it has.
    stagedRetentionMs: stagedRetentionMs ?? (rest.mode === 'stage-only' ? undefined : dayMs),
  }))

/** A `databricks` sink of a resolved config. */
export type ResolvedDatabricksSink = Readonly<z.infer<typeof databricksSink>>
