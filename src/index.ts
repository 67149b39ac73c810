export type { Clock } from './clock.ts'
export { systemClock } from './clock.ts'
export type {
  BatchConfig,
  BlobsConfig,
  DatabricksSinkConfig,
  DeltaSinkConfig,
  DiskConfig,
  MetricsConfig,
  OptimizeConfig,
  PipelineConfig,
  RestartConfig,
  SinkConfig,
  SourceConfig,
  StorageConfig,
  TailraceConfig,
} from './config.ts'
export { defineConfig } from './config.ts'
export type { Environment, VariableKind, VariableValue } from './environment.ts'
export { readEnvironment } from './environment.ts'
export type { Disposition, ErrorCode, ErrorContext, ErrorRule } from './errors.ts'
export { errors, isTailraceError, TailraceError } from './errors.ts'
export type { JsonObject, JsonValue } from './json.ts'
export { parseJson, stringifyJson } from './json.ts'
export type { LandedOffset } from './landed-offsets.ts'
export { LandedOffsets } from './landed-offsets.ts'
export type { LoadIntent } from './load-intent.ts'
export type { Logger } from './logger.ts'
export { createLogger, silentLogger } from './logger.ts'
export type { OffsetFile } from './offsets/file-offset-store.ts'
export { FileOffsetStore } from './offsets/file-offset-store.ts'
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
export type { ResolvedConfig, ResolvedPipeline } from './resolve-config.ts'
export { resolveConfig } from './resolve-config.ts'
export type { RetryPolicy } from './retry.ts'
export { retry } from './retry.ts'
export type { WorkspaceAuth } from './sinks/databricks/workspace-auth.ts'
export { DeltaCommitter } from './sinks/delta/delta-committer.ts'
export { LocalDeltaStorage } from './sinks/delta/local-delta-storage.ts'
export { EmbeddedEngine } from './sinks/duckdb.ts'
export { SpoolEncoder } from './sinks/encoder.ts'
export type { LakehouseSinkOptions } from './sinks/lakehouse-sink.ts'
export { LakehouseSink } from './sinks/lakehouse-sink.ts'
export type { EncodedBatch, TableCommitter } from './sinks/table-committer.ts'
export type { AppendBlobTailerOptions, TailEnd } from './sources/append-blob-tailer.ts'
export { AppendBlobTailer } from './sources/append-blob-tailer.ts'
export { AzureBlobReader } from './sources/azure-blob-reader.ts'
export type {
  BlobRead,
  BlobReader,
  BlobType,
  ListedBlob,
  ListedPage,
  ListRequest,
  ReadRequest,
} from './sources/blob-reader.ts'
export { ByteBudget } from './sources/byte-budget.ts'
export { EmbeddedStorage } from './sources/embedded-storage.ts'
export type { TailedRecord } from './sources/tailed-records.ts'
export { Batcher } from './streams/batcher.ts'
export { DiskGate } from './streams/disk-gate.ts'
export { DiskSpaceMonitor } from './streams/disk-space-monitor.ts'
export { FunctionTransform } from './streams/function-transform.ts'
export { LaneMerge } from './streams/lane-merge.ts'
export { LineSplitter } from './streams/line-splitter.ts'
export type {
  CustomTransform,
  LogRecord,
  PlacedRecord,
  RecordPlace,
  RecordTransform,
  StreamTransform as StreamTransformConfig,
  TransformResult,
} from './streams/record-transform.ts'
export { RecordValidator } from './streams/record-validator.ts'
export { Staging } from './streams/staging.ts'
export { StreamTransform } from './streams/stream-transform.ts'
export type { PostgresLogsOptions } from './tables/postgres-logs.ts'
export { postgresLogs } from './tables/postgres-logs.ts'
export type { Column, ColumnType, PartitionColumn, TableDeclaration } from './tables/table.ts'
export type { RunSummary } from './tailrace.ts'
export { Tailrace } from './tailrace.ts'
export { redactLiterals } from './transforms/redact-literals.ts'
export { sampleSeverity } from './transforms/sample-severity.ts'
