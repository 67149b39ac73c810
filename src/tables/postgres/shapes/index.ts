import {
  azureDiagnostics,
  azureMetric,
  azurePooler,
  azureStatistics,
  bigAnimal,
  logAnalytics,
  logAnalyticsPooler,
  logAnalyticsStatistics,
} from './azure.ts'
import {
  debezium,
  debeziumCloudEvent,
  debeziumRow,
  debeziumTransaction,
  dms,
  sequin,
  supabaseChange,
  wal2json,
  wal2jsonTransaction,
} from './change-data.ts'
import { cloudnativepg, csvlog, wrappedCsvlog } from './csvlog.ts'
import { jsonlog } from './jsonlog.ts'
import { cloudSql, cloudSqlAudit, logText } from './log-text.ts'
import { cloudnativepgOperator, otlp, pgTurret } from './other.ts'
import { elasticModule, supabase, supabaseAnswer } from './parsed.ts'
import { cloudnativepgPooler } from './pooler.ts'
import type { Shape } from './shape.ts'
import { testDecoding, testDecodingText } from './test-decoding.ts'

/** Every shape, in the order of detection. A shape's number is its 1-based position in this list. */
export const shapes: readonly Shape[] = [
  // First, because most records are jsonlog: DuckDB skips the other branches of a CASE when one takes all rows. A record
  // of a later shape matches it only if its envelope has jsonlog's keys too.
  jsonlog,
  azurePooler,
  azureStatistics,
  azureDiagnostics,
  azureMetric,
  cloudnativepg,
  cloudnativepgPooler,
  cloudnativepgOperator,
  cloudSql,
  cloudSqlAudit,
  wal2json,
  wal2jsonTransaction,
  debezium,
  debeziumCloudEvent,
  debeziumTransaction,
  debeziumRow,
  testDecoding,
  dms,
  sequin,
  supabaseChange,
  otlp,
  logAnalyticsPooler,
  logAnalytics,
  logAnalyticsStatistics,
  bigAnimal,
  csvlog,
  pgTurret,
  elasticModule,
  supabase,
  supabaseAnswer,
  wrappedCsvlog,
  testDecodingText,
  logText,
]
