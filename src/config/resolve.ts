import { isAbsolute, resolve } from 'node:path'
import type { z } from 'zod'
import { TailraceError } from '../errors.ts'
import type { SinkTarget } from '../sinks/sink.ts'
import { sinkOf } from '../sinks/sinks.ts'
import { blobTest } from '../sources/discovery/blob-selection.ts'
import { describeIssue, invalidName } from './mistakes.ts'
import type { TailraceConfig } from './options.ts'
import { configSchema, pipelineSchema } from './schema.ts'

/** A config with every default filled in and every path absolute. */
export type ResolvedConfig = Readonly<z.infer<ReturnType<typeof configSchema>>>
/** One pipeline of a resolved config. */
export type ResolvedPipeline = Readonly<z.infer<ReturnType<typeof pipelineSchema>>>

/** @returns a pipeline as its sink sees it */
export function sinkTarget(name: string, { sink, table, source }: ResolvedPipeline): SinkTarget {
  return {
    name,
    sink,
    table,
    sourceStorage: source.storage.kind === 'embedded' ? undefined : source.storage,
    landsBlob: blobTest(source),
  }
}

/**
 * Fills defaults, checks everything, and freezes the result.
 *
 * @param directory what relative paths are relative to
 * @throws CONFIG_INVALID that lists every mistake with its path, what was found and what was expected
 */
export function resolveConfig(input: TailraceConfig, directory: string): ResolvedConfig {
  const result = configSchema().safeParse(input, { reportInput: true })
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
  return deepFreeze({
    ...valid,
    stateDirectory: isAbsolute(valid.stateDirectory)
      ? valid.stateDirectory
      : resolve(directory, valid.stateDirectory),
    pipelines: Object.fromEntries(
      Object.entries(valid.pipelines).map(([name, one]) => [
        name,
        { ...one, sink: sinkOf(one).resolvePaths(one.sink, directory) },
      ]),
    ),
  })
}

const pipelineName = /^[a-z0-9](?:-?[a-z0-9])*$/

function nameMistakes(input: unknown): string[] {
  return Object.keys(pipelinesOf(input))
    .filter((name) => !pipelineName.test(name))
    .map((name) => invalidName(`pipelines.${name}`, 'expected lower-case letters, digits and -'))
}

/** Those that are valid by themselves, so that what is wrong between them is reported together with the others' mistakes. */
function validPipelines(input: unknown): ResolvedConfig['pipelines'] {
  const schema = pipelineSchema()
  return Object.fromEntries(
    Object.entries(pipelinesOf(input)).flatMap(([name, one]) => {
      const { data } = schema.safeParse(one)
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
    const sink = sinkOf(one)
    const { limit } = sink.batchDefaults(one.sink)
    if (limit !== undefined && one.batch.maxBytes > limit.maxBytes) {
      mistakes.push(
        `pipelines.${name}.batch.maxBytes: found ${one.batch.maxBytes}, expected at most ${limit.maxBytes} with ${limit.with}`,
      )
    }
    const key = JSON.stringify([
      namesAreUnique(blobs) &&
        (storage.kind === 'sas' && typeof storage.url === 'function' ? numberOf(storage.url) : storage),
      container,
      // Case does not count in a resource id.
      typeof blobs === 'string' ? blobs : { azureMonitor: blobs.azureMonitor.toLowerCase() },
      sink.tableId(one),
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
