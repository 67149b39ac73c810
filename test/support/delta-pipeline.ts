import { bySink, type DeltaPipeline, type ResolvedConfig } from '../../src/config/resolve.ts'

/** @returns a pipeline of a config, as the one with a Delta table that the test made it */
export function deltaPipeline({ pipelines }: ResolvedConfig, name: string): DeltaPipeline {
  const pipeline = pipelines[name]
  if (pipeline === undefined) throw new Error(`the config has no pipeline ${name}`)
  return bySink(pipeline, {
    delta: (one) => one,
    databricks: () => {
      throw new Error(`the table of ${name} is in a Databricks workspace`)
    },
  })
}
