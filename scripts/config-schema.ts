// Writes config.schema.json, the JSON Schema of a config, from the schema that validates it and the doc comments of its
// types: `pnpm schema`. A test compares the file with the sources.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { configSchema } from '../src/config/schema.ts'
import { shippedSinks } from '../src/sinks/sinks.ts'

const file = fileURLToPath(new URL('../config.schema.json', import.meta.url))

/** A part of a JSON Schema: what it says of one value. */
export interface SchemaPart {
  readonly properties?: Readonly<Record<string, SchemaPart>>
  readonly additionalProperties?: SchemaPart | false
  readonly oneOf?: readonly SchemaPart[]
  readonly anyOf?: readonly SchemaPart[]
  description?: string
}

/** An interface of options: the file that declares it, and the part of the schema that describes it. */
export interface OptionGroup {
  readonly file: string
  readonly name: string
  readonly part: SchemaPart
}

/** @returns the interfaces of options, each with its part of a config's schema */
export function optionGroups(root: SchemaPart): readonly OptionGroup[] {
  const { pipelines, disk, metrics, health, runs, restart, page } = root.properties!
  const pipeline = pipelines!.additionalProperties as SchemaPart
  const { source, sink, batch } = pipeline.properties!
  const [delta, databricks] = sink!.oneOf!
  const config = (name: string, part: SchemaPart | undefined): OptionGroup => ({
    file: 'config/options.ts',
    name,
    part: part!,
  })
  return [
    config('TailraceConfig', root),
    config('PipelineConfig', pipeline),
    config('BatchConfig', batch),
    config('DiskConfig', disk),
    config('MetricsConfig', metrics),
    config('PriceConfig', metrics?.properties?.prices),
    config(
      'PageConfig',
      page?.anyOf?.find(({ properties }) => properties !== undefined),
    ),
    config('HealthConfig', health),
    config('RunsConfig', runs),
    config('RestartConfig', restart),
    { file: 'sources/options.ts', name: 'SourceConfig', part: source! },
    { file: 'sinks/delta/options.ts', name: 'DeltaSinkConfig', part: delta! },
    {
      file: 'sinks/delta/options.ts',
      name: 'OptimizeConfig',
      part: delta!.properties!.optimize!.anyOf!.find(({ properties }) => properties !== undefined)!,
    },
    {
      file: 'sinks/delta/options.ts',
      name: 'ArchiveOffsetsConfig',
      part: delta!.properties!.archiveOffsets!.anyOf!.find(({ properties }) => properties !== undefined)!,
    },
    { file: 'sinks/databricks/options.ts', name: 'DatabricksSinkConfig', part: databricks! },
    { file: 'sinks/databricks/options.ts', name: 'DbuPriceConfig', part: databricks!.properties!.prices! },
  ]
}

/** @returns the options that an interface declares, each with its doc comment, which may be empty */
export function declaredOptions({
  file,
  name,
}: Pick<OptionGroup, 'file' | 'name'>): ReadonlyMap<string, string> {
  const source = readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8')
  const [, body = ''] = new RegExp(`^export interface ${name} \\{\\n(.*?)^\\}`, 'ms').exec(source) ?? []
  const members = body.matchAll(/^(?: {2}\/\*\*((?:(?!\*\/).)*)\*\/\n)? {2}readonly (\w+)\??:/gms)
  return new Map(
    [...members].map(([, comment = '', option]) => [
      option as string,
      comment.replaceAll(/\s*\n\s*\* ?/g, ' ').trim(),
    ]),
  )
}

/** @returns the text of config.schema.json for the sources as they are */
export function configSchemaText(): string {
  const schema = z.toJSONSchema(configSchema(shippedSinks), {
    // A config as it is written: without the defaults.
    io: 'input',
    // Functions and the like have no schema.
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema, path }) => {
      if (zodSchema._zod.def.type === 'date')
        Object.assign(jsonSchema, { type: 'object', description: 'A Date.' })
      if (path.at(-1) === 'table') {
        jsonSchema.type = 'object'
        jsonSchema.required = ['name', 'columns', 'partitionColumns', 'projection']
      }
    },
  })
  const described = {
    title: 'Config of Tailrace',
    description:
      'The options of a config. Table declarations, transforms and functions for a URL come from a module.',
    ...schema,
  }
  for (const group of optionGroups(described as SchemaPart)) {
    for (const [option, comment] of declaredOptions(group)) {
      if (comment !== '') group.part.properties![option]!.description = comment
    }
  }
  return `${JSON.stringify(described, null, 2)}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, configSchemaText())
