import { createHash } from 'node:crypto'
import type { z as Zod } from 'zod'
import { besideOthers } from '../../reporting/option-mistakes.ts'
import type { Evolution } from '../../tables/table.ts'
import { z } from '../../zod.ts'
import type { SinkTarget, TableOf } from '../sink.ts'
import type { WorkspaceAuth } from './workspace/auth.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Tables of a Databricks workspace, by the names of the table declarations; see docs/databricks.md. */
export interface DatabricksSinkConfig {
  readonly kind: 'databricks'
  /** Host name of the workspace, such as `adb-1234567890123456.7.azuredatabricks.net`; a port may follow it. */
  readonly host: string
  /**
   * HTTP path of the SQL warehouse, `/sql/1.0/warehouses/<id>`. Only `zerobus`, and `stage-only` with
   * `upload: 'files-api'`, do without one.
   */
  readonly httpPath?: string | undefined
  readonly auth: WorkspaceAuth
  /**
   * How rows get into the table. `auto` (default): `transaction` where the table and the warehouse allow it, else
   * `replace-where`, or `copy-into` where rows may be hidden. `transaction`: one transaction adds the rows of a staged
   * file and moves the offsets in the table `tailrace_offsets`. `replace-where`: the rows of a batch's ranges are
   * replaced by those of a staged file. `copy-into`: a staged file is loaded by COPY INTO. `merge`: rows travel as the
   * parameter of a MERGE, for low volumes where there is no volume. `stage-only`: files are left in the volume for an
   * Auto Loader or a streaming table. `zerobus`: rows are sent to Zerobus Ingest, at least once, and a view shows each once.
   */
  readonly mode?:
    | 'auto'
    | 'transaction'
    | 'replace-where'
    | 'copy-into'
    | 'merge'
    | 'stage-only'
    | 'zerobus'
    | undefined
  /**
   * Where files are staged, a volume or a folder in one: `/Volumes/catalog/schema/volume/folder`. Needed by all modes
   * but `merge` and `zerobus`. One pipeline's files lie in a folder of its own below it.
   */
  readonly volume?: string | undefined
  /**
   * How files get into the volume. `files-api` (default): by HTTPS to the workspace, without the warehouse. `put`: by the
   * driver's PUT, which needs the warehouse and a way to the volume's storage.
   */
  readonly upload?: 'put' | 'files-api' | undefined
  /** The endpoint of Zerobus Ingest. Needed by mode `zerobus`, and used by no other. */
  readonly zerobus?: ZerobusEndpoint | undefined
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
   * Whether columns of the declaration that an existing table lacks are added to it; otherwise such a table is refused.
   * Default `own-tables`: if the table has all columns that begin with `source_`, `parse_status` and `ingest_ts`, as
   * those have that Tailrace created.
   */
  readonly evolve?: Evolution | undefined
  /**
   * Age from which staged files are removed, in milliseconds: 3,600,000 to 31,536,000,000 (a year). Default
   * 86,400,000 (a day). With `stage-only` there is no default, and a file is removed only when the table has each of its
   * rows, which needs `httpPath`.
   */
  readonly stagedRetentionMs?: number | undefined
  /** Longest time that one statement may take, in milliseconds: 10,000 to 86,400,000. Default 600,000. */
  readonly statementTimeoutMs?: number | undefined
  /** Prices of DBUs, for the estimates of `tailrace check` and `tailrace status`. */
  readonly prices?: DbuPriceConfig | undefined
  /** An HTTP proxy, such as `http://proxy.example:3128`. Default none. */
  readonly proxy?: string | undefined
  /** A PEM file with a certificate authority to trust beside the usual ones. Default none. */
  readonly customCaFile?: string | undefined
}

/** Where Zerobus Ingest of a workspace answers. */
export interface ZerobusEndpoint {
  /** Host name, such as `1234567890123456.zerobus.westeurope.azuredatabricks.net`; a port may follow it. */
  readonly host: string
  /** The id of the workspace, digits. Default: the first part of `host`, if that is digits. */
  readonly workspaceId?: string | undefined
}

/**
 * US dollars for a DBU by kind of warehouse, each 0 to 1,000. The defaults are list prices by a third party
 * (https://www.databrickspricing.com/serverless, read 2026-11-29); regions and contracts differ.
 */
export interface DbuPriceConfig {
  /** Of a serverless SQL warehouse, machines included. Default 0.7. */
  readonly perServerlessDbu?: number | undefined
  /** Of a pro one; its machines are paid apart. Default 0.55. */
  readonly perProDbu?: number | undefined
  /** Of a classic one; its machines are paid apart. Default 0.22. */
  readonly perClassicDbu?: number | undefined
  /** Of serverless jobs, by which Zerobus Ingest is billed. Default 0.45. */
  readonly perJobsDbu?: number | undefined
}

const price = z.number().min(0).max(1_000)

const auth = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('token'), token: z.string().min(1) }),
  z.strictObject({
    kind: z.literal('oauth'),
    clientId: z.string().min(1),
    clientSecret: z.string().min(1),
  }),
  z.strictObject({ kind: z.literal('entra'), managedIdentityClientId: z.guid().optional() }),
])

// Letters and digits of any script, and no character that a path, a pattern of files or an SQL literal gives a meaning to.
const volumePath = /^\/Volumes(?:\/(?!\.{1,2}(?:\/|$))(?! )[\p{L}\p{N}\p{M}._ -]+(?<! )){3,}\/?$/u

// An address is copied with its scheme, and maybe with a slash at its end.
const hostName = z
  .string()
  .overwrite((text) => text.replace(/^https:\/\//, '').replace(/\/$/, ''))
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/i, 'expected a host name, without a path')

const zerobus = z
  .strictObject({
    host: hostName,
    workspaceId: z
      .string()
      .regex(/^\d{1,20}$/, 'expected the digits of a workspace id')
      .optional(),
  })
  .transform(({ host, workspaceId = /^\d+(?=\.)/.exec(host)?.[0] }) => ({ host, workspaceId }))
  .refine(({ workspaceId }) => workspaceId !== undefined, {
    path: ['workspaceId'],
    error: 'found nothing, expected the id of the workspace, where host does not begin with it',
  })

const columnNames = z.array(z.string().min(1)).min(1).max(4)

function modeOf(input: unknown): string {
  return (input as { readonly mode: string }).mode
}

/** The options of a `databricks` sink, with their defaults. */
export const databricksOptions = z
  .strictObject({
    kind: z.literal('databricks'),
    host: hostName,
    // https://docs.databricks.com/integrations/compute-details
    httpPath: z
      .string()
      .regex(/^\/?sql\/[A-Za-z0-9._/-]+(?:\?o=\d+)?$/, 'expected /sql/1.0/warehouses/ID')
      .optional(),
    auth,
    mode: z
      .enum(['auto', 'transaction', 'replace-where', 'copy-into', 'merge', 'stage-only', 'zerobus'])
      .default('auto'),
    volume: z
      .string()
      .regex(volumePath, 'expected /Volumes/catalog/schema/volume, with a folder or without')
      .transform((path) => path.replace(/\/$/, ''))
      .optional(),
    upload: z.enum(['put', 'files-api']).default('files-api'),
    zerobus: zerobus.optional(),
    createTable: z.boolean().default(true),
    layout: z
      .union([
        z.strictObject({ clusterBy: z.union([z.literal('auto'), columnNames]) }),
        z.strictObject({ partitionBy: columnNames }),
      ])
      .default({ clusterBy: 'auto' }),
    properties: z.record(z.string().min(1), z.string()).default({}),
    evolve: z.union([z.boolean(), z.literal('own-tables')]).default('own-tables'),
    stagedRetentionMs: z
      .int()
      .min(hourMs)
      .max(365 * dayMs)
      .optional(),
    statementTimeoutMs: z.int().min(10_000).max(dayMs).default(600_000),
    prices: z
      .strictObject({
        perServerlessDbu: price.default(0.7),
        perProDbu: price.default(0.55),
        perClassicDbu: price.default(0.22),
        perJobsDbu: price.default(0.45),
      })
      .prefault({}),
    proxy: z
      .string()
      .regex(/^https?:\/\/[^\s/]+\/?$/, 'expected http://HOST:PORT')
      .optional(),
    customCaFile: z.string().min(1).optional(),
  })
  .refine(({ mode, volume }) => !stagesFiles({ mode }) || volume !== undefined, {
    path: ['volume'],
    error: ({ input }) => `found nothing, expected a volume, where mode ${modeOf(input)} stages files`,
    ...besideOthers('mode', 'volume'),
  })
  .refine(
    ({ mode, upload, httpPath }) =>
      httpPath !== undefined || mode === 'zerobus' || (mode === 'stage-only' && upload === 'files-api'),
    {
      path: ['httpPath'],
      error: 'found nothing, expected the HTTP path of a SQL warehouse, /sql/1.0/warehouses/ID',
      ...besideOthers('mode', 'upload', 'httpPath'),
    },
  )
  .refine(({ mode, zerobus: endpoint }) => mode !== 'zerobus' || endpoint !== undefined, {
    path: ['zerobus'],
    error: 'found nothing, expected { host } of Zerobus Ingest, where mode zerobus sends rows',
    ...besideOthers('mode', 'zerobus'),
  })
  .refine(({ mode, auth: { kind } }) => mode !== 'zerobus' || kind === 'oauth', {
    path: ['auth'],
    error: 'expected { kind: "oauth" }, where mode zerobus needs tokens for one table',
    ...besideOthers('mode', 'auth'),
  })
  .refine(
    ({ mode, stagedRetentionMs, httpPath }) =>
      mode !== 'stage-only' || stagedRetentionMs === undefined || httpPath !== undefined,
    {
      path: ['stagedRetentionMs'],
      error:
        'expected nothing without httpPath, where mode stage-only cannot know which files are loaded: name a warehouse, or let the streaming table remove its files, by cloudFiles.cleanSource',
      ...besideOthers('mode', 'stagedRetentionMs', 'httpPath'),
    },
  )
  .transform(({ stagedRetentionMs, ...rest }) => ({
    ...rest,
    // An Auto Loader may load a file much later, and it is unknown when it has.
    stagedRetentionMs: stagedRetentionMs ?? (rest.mode === 'stage-only' ? undefined : dayMs),
  }))

/** A `databricks` sink of a resolved config. */
export type DatabricksOptions = Readonly<Zod.infer<typeof databricksOptions>>

/** A pipeline whose table is in a Databricks workspace. */
export type DatabricksTarget = SinkTarget<DatabricksOptions>

/** @returns whether a pipeline lands by transactions, at least where the table and the warehouse take them */
export function prefersTransactions({ mode }: Pick<DatabricksOptions, 'mode'>): boolean {
  return mode === 'auto' || mode === 'transaction'
}

/** @returns whether a mode stages files in a volume */
export function stagesFiles({ mode }: { readonly mode: string }): boolean {
  return mode !== 'merge' && mode !== 'zerobus'
}

/** @returns whether a mode can compute lost offsets from the rows of the table */
export function hasOffsetsInRows({ mode }: Pick<DatabricksOptions, 'mode'>): boolean {
  return mode !== 'stage-only' && mode !== 'zerobus'
}

/** Makes the transactions of a new table possible: https://docs.databricks.com/aws/en/delta/catalog-managed-commits */
const catalogCommits = { 'delta.feature.catalogManaged': 'supported' }

/** @returns the properties of a table that is created for a pipeline */
export function createdProperties(
  sink: Pick<DatabricksOptions, 'mode' | 'properties'>,
): Readonly<Record<string, string>> {
  return prefersTransactions(sink) ? { ...catalogCommits, ...sink.properties } : sink.properties
}

/** Names a table of a workspace: the same text for every spelling of it. */
export function tableId({ sink, table }: TableOf<DatabricksOptions>): string {
  return `${sink.host}/${Object.values(table.name).join('.')}`.toLowerCase()
}

/**
 * The folder where a pipeline stages its files: one per pipeline and table.
 *
 * @returns undefined in modes that stage no files
 */
export function stagingFolderOf({
  name,
  sink,
  table,
}: Pick<DatabricksTarget, 'name' | 'sink' | 'table'>): string | undefined {
  return stagesFiles(sink) ? volumeFolderOf({ name, sink, table }) : undefined
}

/** @returns the same folder, also in modes that stage no files: another mode may have. Undefined without a volume */
export function volumeFolderOf({
  name,
  sink,
  table,
}: Pick<DatabricksTarget, 'name' | 'sink' | 'table'>): string | undefined {
  if (sink.volume === undefined) return undefined
  return `${sink.volume}/${name}/${folderName(Object.values(table.name).join('.'))}`
}

/** Replaces characters that would need an escape; a digest keeps two such names apart. */
function folderName(table: string): string {
  if (/^[A-Za-z0-9._-]+$/.test(table)) return table
  const digest = createHash('sha256').update(table.toLowerCase()).digest('hex').slice(0, 8)
  return `${table.replaceAll(/[^A-Za-z0-9._-]+/g, '_')}-${digest}`
}
