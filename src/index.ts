export type { Clock } from './clock.ts'
export { systemClock } from './clock.ts'
export type { Environment, VariableKind, VariableValue } from './config/environment.ts'
export { readEnvironment } from './config/environment.ts'
export type {
  BatchConfig,
  DiskConfig,
  MetricsConfig,
  PipelineConfig,
  RestartConfig,
  SinkConfig,
  TailraceConfig,
} from './config/options.ts'
export { defineConfig } from './config/options.ts'
export { resolveConfig } from './config/resolve.ts'
export type { ResolvedConfig, ResolvedPipeline } from './config/resolved.ts'
export type { Disposition, ErrorCode, ErrorContext, ErrorRule } from './errors.ts'
export { errors, isTailraceError, TailraceError } from './errors.ts'
export type { JsonObject, JsonValue } from './json.ts'
export { parseJson, stringifyJson } from './json.ts'
export type { LandedOffset } from './offsets/landed-offsets.ts'
export { LandedOffsets } from './offsets/landed-offsets.ts'
export type { LoadIntent } from './offsets/load-intent.ts'
export type { OffsetFileContent } from './offsets/offset-file.ts'
export { OffsetFile } from './offsets/offset-file.ts'
export type {
  Batch,
  BlobGeneration,
  Chunk,
  Entry,
  EntryBlock,
  LandedBatch,
  Line,
  LineBlock,
  RejectReason,
  Span,
} from './records.ts'
export type { Logger } from './reporting/logger.ts'
export { createLogger, silentLogger } from './reporting/logger.ts'
export type { RetryPolicy } from './retry.ts'
export { retry } from './retry.ts'
export type { RunSummary } from './run/tailrace.ts'
export { Tailrace } from './run/tailrace.ts'
export type { DatabricksSinkConfig } from './sinks/databricks/options.ts'
export type { WorkspaceAuth } from './sinks/databricks/workspace/auth.ts'
export { DeltaCommitter } from './sinks/delta/committer.ts'
export type { DeltaSinkConfig, OptimizeConfig } from './sinks/delta/options.ts'
export { LocalDeltaStorage } from './sinks/delta/storage/local.ts'
export { SpoolEncoder } from './sinks/encoding/encoder.ts'
export { EmbeddedEngine } from './sinks/encoding/engine.ts'
export type { LakehouseSinkOptions } from './sinks/lakehouse-sink.ts'
export { LakehouseSink } from './sinks/lakehouse-sink.ts'
export type { EncodedBatch, TableCommitter } from './sinks/table-committer.ts'
export type { AppendBlobTailerOptions, TailEnd } from './sources/append-blob-tailer.ts'
export { AppendBlobTailer } from './sources/append-blob-tailer.ts'
export type {
  BlobRead,
  BlobReader,
  BlobType,
  ListedBlob,
  ListedPage,
  ListRequest,
  ReadRequest,
} from './sources/blob-reader.ts'
export type { BlobsConfig } from './sources/discovery/blob-selection.ts'
export { EmbeddedStorage } from './sources/embedded/embedded-storage.ts'
export type { SourceConfig, StorageConfig } from './sources/options.ts'
export { AzureBlobReader } from './sources/readers/azure-blob-reader.ts'
export { ByteBudget } from './sources/tailing/byte-budget.ts'
export type { TailedRecord } from './sources/tailing/tailed-record.ts'
export { Batcher } from './streams/batcher.ts'
export { FunctionTransform } from './streams/custom/function-transform.ts'
export { StreamTransform } from './streams/custom/stream-transform.ts'
export { DiskGate } from './streams/disk-gate.ts'
export { LaneMerge } from './streams/lane-merge.ts'
export { LineSplitter } from './streams/line-splitter.ts'
export { RecordValidator } from './streams/record-validator.ts'
export { DiskSpaceMonitor } from './streams/staging/disk-space-monitor.ts'
export { Staging } from './streams/staging/staging.ts'
export type { PostgresLogsOptions } from './tables/postgres/logs.ts'
export { postgresLogs } from './tables/postgres/logs.ts'
export type { Column, ColumnType, PartitionColumn, TableDeclaration } from './tables/table.ts'
export type {
  CustomTransform,
  LogRecord,
  PlacedRecord,
  RecordPlace,
  RecordTransform,
  StreamTransformConfig,
  TransformResult,
} from './transforms/record-transform.ts'
export { redactLiterals } from './transforms/redact-literals.ts'
export { sampleSeverity } from './transforms/sample-severity.ts'
