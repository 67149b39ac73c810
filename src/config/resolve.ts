import { isAbsolute, resolve } from 'node:path'
import type { z } from 'zod'
import { TailraceError } from '../errors.ts'
import type { DatabricksOptions } from '../sinks/databricks/options.ts'
import type { DeltaOptions } from '../sinks/delta/options.ts'
import {
  locationBelow,
  locationText,
  parseTableLocation,
  type TableLocation,
} from '../sinks/delta/storage/location.ts'
import { describeIssue, invalidName } from './mistakes.ts'
import type { TailraceConfig } from './options.ts'
import { configSchema, pipelineSchema } from './schema.ts'

/** The rows of a batch that is merged are in memory as text. */
const mostMergedBytes = 16 * 1024 * 1024

/** A config with every default filled in and every path absolute. */
export type ResolvedConfig = Readonly<z.infer<typeof configSchema>>
/** One pipeline of a resolved config. */
export type ResolvedPipeline = Readonly<z.infer<typeof pipelineSchema>>
/** A pipeline whose table is a directory or a folder in Azure, with a log that Tailrace itself writes. */
export interface DeltaPipeline extends ResolvedPipeline {
  readonly sink: DeltaOptions
}
/** A pipeline whose table is in a Databricks workspace. */
export interface DatabricksPipeline extends ResolvedPipeline {
  readonly sink: DatabricksOptions
}

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
  const result = configSchema.safeParse(input, { reportInput: true })
  const mistakes = [
    ...nameMistakes(input),
    ...(result.error?.issues ?? []).flatMap((issue) => describeIssue(issue, input)),
    ...crossChecks(result.data?.pipelines ?? validPipelines(input)),
  ]
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

const pipelineName = /^[a-z0-9](?:-?[a-z0-9])*$/

function nameMistakes(input: unknown): string[] {
  return Object.keys(pipelinesOf(input))
    .filter((name) => !pipelineName.test(name))
    .map((name) => invalidName(`pipelines.${name}`, 'expected lower-case letters, digits and -'))
}

/** Those that are valid by themselves, so that what is wrong between them is reported together with the others' mistakes. */
function validPipelines(input: unknown): ResolvedConfig['pipelines'] {
  return Object.fromEntries(
    Object.entries(pipelinesOf(input)).flatMap(([name, one]) => {
      const { data } = pipelineSchema.safeParse(one)
      return data === undefined ? [] : [[name, data] as const]
    }),
  )
}

function pipelinesOf(input: unknown): object {
  const pipelines: unknown = (input as Partial<TailraceConfig> | undefined)?.pipelines
  return typeof pipelines === 'object' && pipelines !== null && !Array.isArray(pipelines) ? pipelines : {}
}

/** Checks what options of several parts, or several pipelines, have to do with each other. */
function crossChecks(pipelines: ResolvedConfig['pipelines']): string[] {
  const mistakes: string[] = []
  const owners = new Map<string, string>()
  // A function says nothing of its account: only the same one is known to give the same.
  const functions: unknown[] = []
  const numberOf = (one: unknown): number =>
    functions.includes(one) ? functions.indexOf(one) : functions.push(one) - 1
  for (const [name, one] of Object.entries(pipelines)) {
    const { storage, container, blobs } = one.source
    if (one.sink.kind === 'databricks' && one.sink.mode === 'merge' && one.batch.maxBytes > mostMergedBytes) {
      mistakes.push(
        `pipelines.${name}.batch.maxBytes: found ${one.batch.maxBytes}, expected at most ${mostMergedBytes} with mode merge`,
      )
    }
    const key = JSON.stringify([
      namesAreUnique(blobs) &&
        (storage.kind === 'sas' && typeof storage.url === 'function' ? numberOf(storage.url) : storage),
      container,
      // Case does not count in a resource id.
      typeof blobs === 'string' ? blobs : { azureMonitor: blobs.azureMonitor.toLowerCase() },
      tableText(one),
    ])
    const other = owners.get(key)
    if (other !== undefined)
      mistakes.push(
        `pipelines.${name}: found the container, blobs and table of pipelines.${other}, expected another one`,
      )
    owners.set(key, name)
  }
  return mistakes
}

/**
 * Neither rows nor offsets hold the account of a blob, so that they stay valid when it gets another name or endpoint: two
 * accounts may share a table only where no two blobs have the same name, as Azure Monitor's, which hold the server's id.
 */
function namesAreUnique(blobs: ResolvedPipeline['source']['blobs']): boolean {
  return typeof blobs === 'string' && /^resourceId=/i.test(blobs)
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
