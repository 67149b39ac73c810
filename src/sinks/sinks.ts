import { z } from 'zod'
import { TailraceError } from '../errors.ts'
import { databricksSink } from './databricks/sink.ts'
import { deltaSink } from './delta/sink.ts'
import type { Sink, SinkOptions, Unsupported } from './sink.ts'

const sinks = new Map<string, Sink>()

/** Makes a kind of sink known to configs and commands. */
export function addSink<Options extends SinkOptions>(sink: Sink<Options>): void {
  sinks.set(sink.kind, sink)
}

addSink(deltaSink)
addSink(databricksSink)

/** @returns the kind of a pipeline's sink */
export function sinkOf({ sink: { kind } }: { readonly sink: SinkOptions }): Sink {
  const sink = sinks.get(kind)
  if (sink === undefined) throw new Error(`no kind of sink ${kind}`)
  return sink
}

/** The options of a sink of any kind. */
export function sinkOptions(): z.ZodType<SinkOptions> {
  const [first, ...others] = [...sinks.values()].map(({ options }) => options as z.core.$ZodTypeDiscriminable)
  return z.discriminatedUnion('kind', [first!, ...others]) as z.ZodType<SinkOptions>
}

/** @returns whether a kind of sink lacks the ability that it was asked for */
export function isUnsupported(answer: object | string): answer is Unsupported {
  return typeof answer === 'object' && 'because' in answer
}

/** The error of a command that no table of the pipelines supports. */
export function unsupportedError(pipelines: readonly string[], { because }: Unsupported): TailraceError {
  return new TailraceError('USAGE', `The table of ${pipelines.join(', ')} ${because}.`)
}
