import type { Transform } from 'node:stream'
import type { CustomTransform, RecordTransform } from '../../transforms/record-transform.ts'
import { FunctionTransform } from './function-transform.ts'
import { StreamTransform } from './stream-transform.ts'

/**
 * Makes the stages of one lane's custom transforms. Consecutive functions become one stage, so that they share the parse of
 * a record.
 */
export function customStages(transforms: readonly CustomTransform[], pipelineName: string): Transform[] {
  const stages: Transform[] = []
  let functions: RecordTransform[] = []
  const closeFunctions = (): void => {
    if (functions.length > 0) stages.push(new FunctionTransform(functions, pipelineName))
    functions = []
  }
  for (const transform of transforms) {
    if (typeof transform === 'function') {
      functions.push(transform)
      continue
    }
    closeFunctions()
    stages.push(new StreamTransform(transform, pipelineName))
  }
  closeFunctions()
  return stages
}
