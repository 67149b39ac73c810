/**
 * The public names of Tailrace: they declare a config, run it, inspect its tables, and build other pipelines from the same
 * stages.
 */

export { type Clock, systemClock } from './clock.ts'
export type { ConfigChanges } from './config/config-changes.ts'
export {
  type Environment,
  readEnvironment,
  type VariableKind,
  type VariableValue,
} from './config/environment.ts'
export { loadConfig } from './config/load.ts'
export {
  type BatchConfig,
  type DiskConfig,
  defineConfig,
  type HealthConfig,
  type MetricsConfig,
  type PageConfig,
  type PipelineConfig,
  type PriceConfig,
  type RestartConfig,
  type RunsConfig,
  type SinkConfig,
  type TailraceConfig,
} from './config/options.ts'
export { resolveConfig } from './config/resolve.ts'
export type { ResolvedConfig, ResolvedPipeline } from './config/resolved.ts'
export {
  type Disposition,
  type ErrorCode,
  type ErrorContext,
  type ErrorRule,
  errors,
  isTailraceError,
  TailraceError,
} from './errors.ts'
export { type JsonObject, type JsonValue, parseJson, stringifyJson } from './json.ts'
export { type LandedOffset, LandedOffsets } from './offsets/landed-offsets.ts'
export type { Verdict, VerifyReport } from './offsets/verify-report.ts'
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
export {
  createLogger,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  silentLogger,
} from './reporting/logger.ts'
export type { RetryPolicy } from './retry.ts'
export type { BlobStatus, PipelineStatus, StatusReport } from './run/inspection/status.ts'
export {
  type OperationOptions,
  type QueryRow,
  type QueryRowsOptions,
  queryRows as query,
  type ReplayRange,
  replayRange as replay,
  statusOf as status,
  verifyTables as verify,
} from './run/operations.ts'
export type { ReplayReceipt } from './run/replay.ts'
export { type RunSummary, Tailrace, type TailraceOptions } from './run/tailrace.ts'
export type { DatabricksSinkConfig } from './sinks/databricks/options.ts'
export type { WorkspaceAuth } from './sinks/databricks/workspace/auth.ts'
export type { DeltaSinkConfig, OptimizeConfig } from './sinks/delta/options.ts'
export { SpoolEncoder } from './sinks/encoding/encoder.ts'
export { EmbeddedEngine } from './sinks/encoding/engine.ts'
export { LakehouseSink, type LakehouseSinkOptions } from './sinks/lakehouse-sink.ts'
export type {
  OpenedSink,
  OpenSink,
  Sink,
  SinkContext,
  SinkOptions,
  SinkTarget,
  TableInspection,
  Unsupported,
  UpkeepShare,
} from './sinks/sink.ts'
export type { CommitReceipt, EncodedBatch, TableCommitter } from './sinks/table-committer.ts'
export { AppendBlobTailer, type AppendBlobTailerOptions, type TailEnd } from './sources/append-blob-tailer.ts'
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
export type { SourceConfig, StorageConfig } from './sources/options.ts'
export { AzureBlobReader } from './sources/readers/azure-blob-reader.ts'
export { ByteBudget } from './sources/tailing/byte-budget.ts'
export { Batcher } from './streams/batcher.ts'
export { FunctionTransform } from './streams/custom/function-transform.ts'
export { StreamTransform } from './streams/custom/stream-transform.ts'
export { DiskGate } from './streams/disk-gate.ts'
export { LaneMerge } from './streams/lane-merge.ts'
export { LineSplitter, type LineSplitterOptions } from './streams/line-splitter.ts'
export { RecordValidator } from './streams/record-validator.ts'
export { DiskSpaceMonitor, type DiskSpaceMonitorOptions } from './streams/staging/disk-space-monitor.ts'
export { Staging } from './streams/staging/staging.ts'
export { type PostgresLogsOptions, postgresLogs } from './tables/postgres/logs.ts'
export type {
  Column,
  ColumnType,
  PartitionColumn,
  Projection,
  ProjectionOptions,
  TableDeclaration,
  TableName,
} from './tables/table.ts'
export {
  type CustomTransform,
  type LogRecord,
  type PlacedRecord,
  type RecordPlace,
  type RecordTransform,
  type RedactLiteralsOptions,
  redactLiterals,
  type SampleSeverityOptions,
  type StreamTransformConfig,
  sampleSeverity,
  type TransformResult,
} from './transforms/index.ts'
