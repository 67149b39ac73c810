import { type ResolvedConfig, sinkTarget } from '../../src/config/resolved.ts'
import type { DeltaTarget } from '../../src/sinks/delta/options.ts'

/** @returns where a pipeline lands, of a config in which the test gave it a Delta table */
export function deltaTarget({ pipelines }: ResolvedConfig, name: string): DeltaTarget {
  const pipeline = pipelines[name]
  if (pipeline?.sink.kind !== 'delta') throw new Error(`the config has no Delta table of ${name}`)
  return sinkTarget(name, pipeline) as DeltaTarget
}
