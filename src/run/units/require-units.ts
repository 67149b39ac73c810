import { isUnsupported, unsupportedError } from '../../config/choose-pipelines.ts'
import type { ResolvedPipeline } from '../../config/resolved.ts'
import type { SinkUnits } from '../../sinks/sink.ts'

/** @throws USAGE when the table of a pipeline takes no units */
export function requireUnits(name: string, { sinkKind, sink }: ResolvedPipeline): SinkUnits {
  const units = sinkKind.units(sink)
  if (isUnsupported(units)) throw unsupportedError([name], units)
  return units
}
