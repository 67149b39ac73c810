import { TailraceError } from '../errors.ts'
import { bySink, type DeltaPipeline, type ResolvedConfig, type ResolvedPipeline } from './resolve.ts'

/**
 * The pipelines a command is about, by name: the one that is asked for, or all.
 *
 * @throws USAGE naming the configured pipelines when there is none of that name
 */
export function choosePipelines(
  { pipelines }: Pick<ResolvedConfig, 'pipelines'>,
  only: string | undefined,
): [name: string, pipeline: ResolvedPipeline][] {
  if (only === undefined) return Object.entries(pipelines)
  return [[only, choosePipeline({ pipelines }, only)]]
}

/**
 * The pipelines whose tables Tailrace itself reads and maintains: the one that is asked for, or all.
 *
 * @param instead what to do in a Databricks workspace, for the message
 * @throws USAGE when the one that is asked for, or every one, has its table in a Databricks workspace
 */
export function chooseDeltaPipelines(
  config: Pick<ResolvedConfig, 'pipelines'>,
  only: string | undefined,
  instead: string,
): [name: string, pipeline: DeltaPipeline][] {
  const chosen = choosePipelines(config, only)
  const found = chosen.flatMap(([name, pipeline]) =>
    bySink<[string, DeltaPipeline][]>(pipeline, {
      delta: (one) => [[name, one]],
      databricks: () => [],
    }),
  )
  if (found.length > 0) return found
  const names = chosen.map(([name]) => name).join(', ')
  throw new TailraceError('USAGE', `The table of ${names} is in a Databricks workspace: ${instead}.`)
}

/** @throws USAGE naming the configured pipelines when there is none of that name */
export function choosePipeline(
  { pipelines }: Pick<ResolvedConfig, 'pipelines'>,
  name: string,
): ResolvedPipeline {
  // A name such as `constructor` is no pipeline, although every object answers to it.
  const pipeline = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined
  if (pipeline !== undefined) return pipeline
  throw new TailraceError(
    'USAGE',
    `There is no pipeline ${name}; the config has ${Object.keys(pipelines).join(', ')}.`,
  )
}
