/** The transforms that ship, and the types to write others: `import { redactLiterals } from 'tailrace/transforms'`. */

export type { JsonObject, JsonValue } from '../json.ts'
export type {
  CustomTransform,
  LogRecord,
  PlacedRecord,
  RecordPlace,
  RecordTransform,
  StreamTransformConfig,
  TransformResult,
} from './record-transform.ts'
export { type RedactLiteralsOptions, redactLiterals } from './redact-literals.ts'
export { type SampleSeverityOptions, sampleSeverity } from './sample-severity.ts'
