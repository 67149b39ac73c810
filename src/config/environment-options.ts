import { hostname } from 'node:os'
import { placeShard } from '../sources/discovery/shard.ts'
import { type Environment, optionVariables, readVariables } from './environment.ts'
import type { PipelineConfig, TailraceConfig } from './options.ts'

/**
 * Sets the options that depend on where a process runs: one file then serves several machines.
 *
 * @param flags options of the command line, which come before the environment
 * @returns the config with the options of the environment in place of those of the file; it is not validated yet
 * @throws CONFIG_INVALID
 */
export function withEnvironment(
  config: TailraceConfig,
  environment?: Environment,
  flags: Pick<TailraceConfig, 'shard'> = {},
): TailraceConfig {
  const values = readVariables({ ...optionVariables, JOB_COMPLETION_INDEX: 'text' }, environment)
  const shard = flags.shard ?? values.TAILRACE_SHARD ?? config.shard
  const pod = { completionIndex: values.JOB_COMPLETION_INDEX, hostName: hostname() }
  const ofPipeline = (one: PipelineConfig | undefined): PipelineConfig | undefined =>
    withOptions(one, {
      source: withOptions(one?.source, { pollMs: values.TAILRACE_POLL_MS }),
      batch: withOptions(one?.batch, {
        maxBytes: values.TAILRACE_BATCH_BYTES,
        maxRows: values.TAILRACE_BATCH_ROWS,
        maxAgeMs: values.TAILRACE_BATCH_AGE_MS,
      }),
    })
  const pipelines = Object.entries(config.pipelines ?? {}).map(([name, one]) => [name, ofPipeline(one)])
  return withOptions(config, {
    stateDirectory: values.TAILRACE_STATE,
    shard: typeof shard === 'string' ? placeShard(shard, pod) : shard,
    logLevel: values.LOG_LEVEL,
    runs: values.TAILRACE_RUNS_TABLE === undefined ? undefined : { table: values.TAILRACE_RUNS_TABLE },
    disk: withOptions(config.disk, { minFreeBytes: values.TAILRACE_MIN_FREE_BYTES }),
    metrics: withOptions(config.metrics, {
      host: values.TAILRACE_METRICS_HOST,
      port: values.TAILRACE_METRICS_PORT,
    }),
    page: pageOptions(config.page, values),
    pipelines: withOptions(config.pipelines, Object.fromEntries(pipelines)),
  })
}

function pageOptions(
  page: TailraceConfig['page'],
  values: ReturnType<typeof readVariables<typeof optionVariables>>,
): TailraceConfig['page'] {
  const { TAILRACE_PAGE: wanted, TAILRACE_PAGE_HOSTS: hosts } = values
  if (wanted === 'off' || (page === false && wanted === undefined)) return false
  return withOptions(page === false ? undefined : page, {
    host: values.TAILRACE_PAGE_HOST,
    port: values.TAILRACE_PAGE_PORT,
    hosts: hosts?.split(/[\s,]+/).filter((host) => host !== ''),
    token: values.TAILRACE_PAGE_TOKEN,
  })
}

/** @returns the options with those that are given; unchanged when they are no object, which validation reports */
function withOptions<Options extends object>(
  options: Options,
  given: { readonly [Name in keyof Options]?: Options[Name] | undefined },
): Options
function withOptions<Options extends object>(
  options: Options | undefined,
  given: { readonly [Name in keyof Options]?: Options[Name] | undefined },
): Options | undefined
function withOptions(options: object | undefined, given: object): object | undefined {
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  const isWrong = options !== undefined && (typeof options !== 'object' || options === null)
  return set.length === 0 || isWrong ? options : { ...options, ...Object.fromEntries(set) }
}
