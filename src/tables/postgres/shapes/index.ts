import { azureDiagnostics, azureMetric } from './azure.ts'
import { cloudnativepg, csvlog } from './csvlog.ts'
import { jsonlog } from './jsonlog.ts'
import { cloudSql, logText } from './log-text.ts'
import { cloudnativepgOperator, otlp, wal2json, wal2jsonTransaction } from './other.ts'
import type { Shape } from './shape.ts'

/** Every shape, in the order of detection. A shape's number is its 1-based position in this list. */
export const shapes: readonly Shape[] = [
  // First, because most records are jsonlog: DuckDB skips the other branches of a CASE when one takes all rows. A record
  // of a later shape matches it only if its envelope has jsonlog's keys too.
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
