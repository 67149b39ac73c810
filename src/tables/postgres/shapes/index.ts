import { azureDiagnostics, azureMetric } from './azure.ts'
import { cloudnativepg, csvlog } from './csvlog.ts'
import { jsonlog } from './jsonlog.ts'
import { cloudSql, logText } from './log-text.ts'
import { cloudnativepgOperator, otlp, wal2json, wal2jsonTransaction } from './other.ts'
import type { Shape } from './shape.ts'

/** Every shape, in the order of detection. A shape's number is its place here, counted from 1. */
export const shapes: readonly Shape[] = [
  // First, because it is most records: DuckDB skips the other branches of a CASE when one takes all rows.
  // It shares no record with the shapes that the order of detection puts before it, but for its keys in an envelope.
  jsonlog,
  azureDiagnostics,
  azureMetric,
  cloudnativepg,
  cloudnativepgOperator,
  cloudSql,
  wal2json,
  wal2jsonTransaction,
  otlp,
  csvlog,
  logText,
]
