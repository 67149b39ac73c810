import { databricksSink } from './databricks/sink.ts'
import { deltaSink } from './delta/sink.ts'
import type { Sink } from './sink.ts'

/** The kinds of sinks that ship. */
export const shippedSinks: readonly Sink[] = [deltaSink, databricksSink]
