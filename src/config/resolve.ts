import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { TailraceError } from '../errors.ts'
import type { Sink } from '../sinks/sink.ts'
import { shippedSinks } from '../sinks/sinks.ts'
import { isServerResourceId } from '../sources/discovery/azure-monitor-layout.ts'
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
  const earlier: { readonly name: string; readonly source: Source; readonly table: string }[] = []
  for (const [name, one] of Object.entries(pipelines)) {
    const nameMistake = one.sinkKind.nameMistake(one.table.name)
    if (nameMistake !== undefined) mistakes.push(`pipelines.${name}.table: ${nameMistake}`)
    const { limit } = one.sinkKind.batchDefaults(one.sink)
    if (limit !== undefined && one.batch.maxBytes > limit.maxBytes) {
      mistakes.push(
        `pipelines.${name}.batch.maxBytes: found ${one.batch.maxBytes}, expected at most ${limit.maxBytes} with ${limit.with}`,
      )
    }
    const table = one.sinkKind.tableId(one)
    const other = earlier.find((former) => former.table === table && readSameBlobs(former.source, one.source))
    if (other !== undefined)
      mistakes.push(
        `pipelines.${name}: found blobs and the table of pipelines.${other.name}, expected other ones`,
      )
    earlier.push({ name, source: one.source, table })
  }
  return mistakes
}

type Source = ResolvedConfig['pipelines'][string]['source']

/**
 * Whether two pipelines read blobs of the same name: of one account, or of two. Rows and offsets do not contain the account,
 * so that they stay valid when it gets another name or endpoint. So two accounts may land in one table only if no two
 * blobs have the same name. Names of Azure Monitor contain the server's resource id, and a server that two pipelines name
 * is the same one. Of a subscription, a group or `*`, each account may have other servers.
 */
function readSameBlobs(one: Source, other: Source): boolean {
  if (one.container !== other.container) return false
  // The account behind a function is unknown, so only the same function counts as the same account.
  const isSameAccount = isDeepStrictEqual(one.storage, other.storage)
  if (typeof one.blobs === 'string')
    return one.blobs === other.blobs && (isSameAccount || !/^resourceId=/i.test(one.blobs))
  if (typeof other.blobs === 'string') return false
  const ids = monitorIds(other.blobs)
  return monitorIds(one.blobs).some((id) =>
    ids.some((former) =>
      isSameAccount ? isWithin(id, former) || isWithin(former, id) : id === former && isServerResourceId(id),
    ),
  )
}

/** Resource ids are case-insensitive. */
function monitorIds({ azureMonitor }: Exclude<Source['blobs'], string>): readonly string[] {
  return [azureMonitor].flat().map((id) => id.toLowerCase())
}

/** @returns whether a resource id is another one, or is in it: a server in its group or subscription, or in `*` */
function isWithin(id: string, outer: string): boolean {
  return outer === '*' || `${id}/`.startsWith(`${outer}/`)
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
