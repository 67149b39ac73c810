import type { z } from 'zod'
import type { SinkTarget } from '../sinks/sink.ts'
import { blobTest } from '../sources/discovery/blob-selection.ts'
import type { configSchema, pipelineSchema } from './schema.ts'

/** A valid config with all defaults and absolute paths. */
export type ResolvedConfig = Readonly<z.infer<ReturnType<typeof configSchema>>>
/** One pipeline of a resolved config. */
export type ResolvedPipeline = Readonly<z.infer<ReturnType<typeof pipelineSchema>>>

/** @returns the part of a pipeline that its sink needs */
export function sinkTarget(name: string, { sink, table, source }: ResolvedPipeline): SinkTarget {
  return {
    name,
    sink,
    table,
    sourceStorage: source.storage.kind === 'embedded' ? undefined : source.storage,
    landsBlob: blobTest(source),
  }
}
