import { resolve } from 'node:path'
import { TailraceError } from '../errors.ts'
import type { Sink } from '../sinks/sink.ts'
import { shippedSinks } from '../sinks/sinks.ts'
import type { Shard } from '../sources/discovery/shard.ts'
import { runsPipelineName } from './choose-pipelines.ts'
import { describeIssue, invalidName } from './mistakes.ts'
import type { TailraceConfig } from './options.ts'
import type { ResolvedConfig } from './resolved.ts'
import { configSchema, pipelineSchema } from './schema.ts'

/**
 * Validates a config, fills in defaults, and freezes the result.
 *
 * @param directory the base of relative paths
 * @param sinks the kinds of sinks that a pipeline can have
 * @throws CONFIG_INVALID that lists all mistakes, each with its path, the value found and the expected one
 */
export function resolveConfig(
  input: TailraceConfig,
  directory: string,
  sinks: readonly Sink[] = shippedSinks,
): ResolvedConfig {
  const result = configSchema(sinks).safeParse(input, { reportInput: true })
  const mistakes = [
    ...nameMistakes(input),
    ...(result.error?.issues ?? []).flatMap((issue) => describeIssue(issue, input)),
    ...crossChecks(result.data?.pipelines ?? validPipelines(input, sinks)),
    ...shardMistakes(result.data),
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
    stateDirectory: resolve(directory, valid.stateDirectory, ...shardFolder(valid.shard)),
    pipelines: Object.fromEntries(
      Object.entries(valid.pipelines).map(([name, one]) => [
        name,
        { ...one, sink: one.sinkKind.resolvePaths(one.sink, directory) },
      ]),
    ),
  })
}

const pipelineName = /^[a-z0-9](?:-?[a-z0-9])*$/

function nameMistakes(input: unknown): string[] {
  return Object.keys(pipelinesOf(input))
    .filter((name) => !pipelineName.test(name) || name === runsPipelineName)
    .map((name) =>
      invalidName(
        `pipelines.${name}`,
        name === runsPipelineName
          ? 'expected another name: the record of runs has it'
          : 'expected lower-case letters, digits and -',
      ),
    )
}

/** @returns the pipelines without mistakes of their own, so that mistakes between pipelines are reported in the same message */
function validPipelines(input: unknown, sinks: readonly Sink[]): ResolvedConfig['pipelines'] {
  const schema = pipelineSchema(sinks)
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

/** Shards of one machine have the same state directory, and each writes an offset file and staging of its own. */
function shardFolder(shard: Shard | undefined): string[] {
  return shard === undefined ? [] : ['shards', `${shard.index}-of-${shard.count}`]
}

function shardMistakes(config: Pick<ResolvedConfig, 'pipelines' | 'shard'> | undefined): string[] {
  if (config?.shard === undefined) return []
  return Object.entries(config.pipelines).flatMap(([name, { sink, sinkKind }]) => {
    const because = sinkKind.refusesShards?.(sink)
    return because === undefined ? [] : [`shard: found the pipeline ${name}, which ${because}`]
  })
}

/** Checks combinations of options across the parts of a pipeline, and across pipelines. */
function crossChecks(pipelines: ResolvedConfig['pipelines']): string[] {
  const mistakes: string[] = []
  const owners = new Map<string, string>()
  // The account behind a function is unknown, so only the same function counts as the same account.
  const functions: unknown[] = []
  const numberOf = (one: unknown): number =>
    functions.includes(one) ? functions.indexOf(one) : functions.push(one) - 1
  for (const [name, one] of Object.entries(pipelines)) {
    const { storage, container, blobs } = one.source
    const nameMistake = one.sinkKind.nameMistake(one.table.name)
    if (nameMistake !== undefined) mistakes.push(`pipelines.${name}.table: ${nameMistake}`)
    const { limit } = one.sinkKind.batchDefaults(one.sink)
    if (limit !== undefined && one.batch.maxBytes > limit.maxBytes) {
      mistakes.push(
        `pipelines.${name}.batch.maxBytes: found ${one.batch.maxBytes}, expected at most ${limit.maxBytes} with ${limit.with}`,
      )
    }
    const key = JSON.stringify([
      namesAreUnique(blobs) &&
        (storage.kind === 'sas' && typeof storage.url === 'function' ? numberOf(storage.url) : storage),
      container,
      // Resource ids are case-insensitive.
      typeof blobs === 'string' ? blobs : [blobs.azureMonitor].flat().map((id) => id.toLowerCase()),
      one.sinkKind.tableId(one),
    ])
    const other = owners.get(key)
    if (other !== undefined)
      mistakes.push(
        `pipelines.${name}: found the same container, blobs and table as pipelines.${other}, expected other ones`,
      )
    owners.set(key, name)
  }
  return mistakes
}

/**
 * Whether blob names are unique across accounts. Rows and offsets do not contain the account, so that they stay valid when
 * it gets another name or endpoint. So two accounts may land in one table only if no two blobs have the same name, as
 * those of Azure Monitor, whose names contain the server's resource id.
 */
function namesAreUnique(blobs: ResolvedConfig['pipelines'][string]['source']['blobs']): boolean {
  return typeof blobs === 'string' && /^resourceId=/i.test(blobs)
}

function deepFreeze<T>(value: T): T {
  // Only arrays and plain objects belong to the config; table declarations and streams are passed through.
  if (
    Array.isArray(value) ||
    (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
  ) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}
