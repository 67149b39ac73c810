import { TailraceError } from './errors.ts'
import type { ResolvedConfig, ResolvedPipeline } from './resolve-config.ts'

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
