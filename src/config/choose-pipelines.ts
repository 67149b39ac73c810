import { TailraceError } from '../errors.ts'
import type { Sink, SinkTarget, Unsupported } from '../sinks/sink.ts'
import { runsTable } from '../tables/runs-table.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from './resolved.ts'

/**
 * @param only the name of one pipeline; undefined for all
 * @returns the selected pipelines with their names
 * @throws USAGE that lists the configured pipelines, when there is none of that name
 */
export function choosePipelines(
  { pipelines }: Pick<ResolvedConfig, 'pipelines'>,
  only: string | undefined,
): [name: string, pipeline: ResolvedPipeline][] {
  if (only === undefined) return Object.entries(pipelines)
  return [[only, choosePipeline({ pipelines }, only)]]
}

/** The parts of a config that say which tables there are: those of its pipelines, and that of the runs. */
export type ConfigOfTables = Pick<ResolvedConfig, 'pipelines'> & Partial<Pick<ResolvedConfig, 'runs'>>

/** The name of the pipeline that lands the record of runs; no other one may have it. */
export const runsPipelineName = 'tailrace-runs'

/** The folder of the journals, as a prefix of blob names. */
export const journalPrefix = 'runs/'

/** @returns the pipeline that lands the record of runs by the sink of the first pipeline; undefined without one */
export function runsPipeline({
  runs,
  pipelines,
}: Pick<ResolvedConfig, 'pipelines'> & Partial<Pick<ResolvedConfig, 'runs'>>): ResolvedPipeline | undefined {
  const [first] = Object.values(pipelines)
  if (runs === undefined || first === undefined) return undefined
  const { maxBytes, maxAgeMs, landEveryMs } = first.sinkKind.batchDefaults(first.sink)
  return {
    ...first,
    source: {
      ...first.source,
      container: 'tailrace',
      blobs: journalPrefix,
      coldStart: 'earliest',
      startTimeMs: undefined,
    },
    transforms: [],
    table: runsTable(runs.table),
    whenFenced: 'exit',
    // With the first pipeline, so that both wake a warehouse together.
    batch: {
      maxBytes,
      maxAgeMs,
      maxRows: first.batch.maxRows,
      landEveryMs: landEveryMs === undefined ? undefined : (first.batch.landEveryMs ?? first.batch.maxAgeMs),
    },
  }
}

/** As `choosePipelines`, with the pipeline that lands the record of runs, if the config has one. */
export function choosePipelinesAndRuns(
  config: ConfigOfTables,
  only: string | undefined,
): [name: string, pipeline: ResolvedPipeline][] {
  const runs = runsPipeline(config)
  if (runs === undefined) return choosePipelines(config, only)
  if (only === runsPipelineName) return [[only, runs]]
  const chosen = choosePipelines(config, only)
  return only === undefined ? [...chosen, [runsPipelineName, runs]] : chosen
}

/** The table of a pipeline, with one ability of its kind of sink. */
export interface CapableTable<Ability> {
  readonly target: SinkTarget
  /** The same for two pipelines of one table. */
  readonly tableId: string
  readonly ability: Ability
}

/**
 * Selects the tables whose kind of sink has an ability, of one pipeline or of all.
 *
 * @throws USAGE when no table has it, or there is no pipeline `only`
 */
export function chooseTables<Ability extends object>(
  config: ConfigOfTables,
  only: string | undefined,
  abilityOf: (sink: Sink) => Ability | Unsupported,
): CapableTable<Ability>[] {
  const chosen = choosePipelinesAndRuns(config, only)
  const answers = chosen.map(([name, pipeline]) => ({
    target: sinkTarget(name, pipeline),
    tableId: pipeline.sinkKind.tableId(pipeline),
    ability: abilityOf(pipeline.sinkKind),
  }))
  const found = answers.filter((one): one is CapableTable<Ability> => !isUnsupported(one.ability))
  const refusal = answers.map(({ ability }) => ability).find(isUnsupported)
  if (found.length > 0 || refusal === undefined) return found
  throw unsupportedError(
    chosen.map(([name]) => name),
    refusal,
  )
}

/** @throws USAGE that lists the configured pipelines, when there is none of that name */
export function choosePipeline(
  { pipelines }: Pick<ResolvedConfig, 'pipelines'>,
  name: string,
): ResolvedPipeline {
  // Every object has inherited properties such as `constructor`, which are no pipelines.
  const pipeline = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined
  if (pipeline !== undefined) return pipeline
  throw new TailraceError(
    'USAGE',
    `There is no pipeline ${name}; the config has ${Object.keys(pipelines).join(', ')}.`,
  )
}

/** @returns whether a kind of sink lacks the ability that a command needs */
export function isUnsupported(answer: object | string): answer is Unsupported {
  return typeof answer === 'object' && 'because' in answer
}

/** The error of a command that the tables of some pipelines do not support. */
export function unsupportedError(pipelines: readonly string[], { because }: Unsupported): TailraceError {
  return new TailraceError('USAGE', `The table of ${pipelines.join(', ')} ${because}.`)
}
