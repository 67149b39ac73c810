import type { z } from 'zod'
import type { AccountStorage } from '../azure/account-storage.ts'
import type { Clock } from '../clock.ts'
import type { ArchivedOffsets } from '../offsets/archived-offsets.ts'
import type { LandedOffset } from '../offsets/landed-offsets.ts'
import type { OffsetFileContent } from '../offsets/offset-file.ts'
import type { OffsetFileWriter } from '../offsets/offset-file-writer.ts'
import type { Logger } from '../reporting/logger.ts'
import type { TableDeclaration, TableName } from '../tables/table.ts'
import type { ViewDialect } from '../tables/views.ts'
import type { EmbeddedEngine } from './encoding/engine.ts'
import type { TakeRows } from './encoding/row-stream.ts'
import type { LandedRows, RetainedDays } from './landed-rows.ts'
import type { QuerySession, SessionOptions, TableMoment } from './query-session.ts'
import type { SinkSetup } from './sink-setup.ts'
import type { TableCommitter, UnitStore } from './table-committer.ts'
import type { OptimizeReport, RetainReport, TableHistory, VacuumReport } from './table-reports.ts'

/** The options of a sink in a resolved config; each kind adds its own. */
export interface SinkOptions {
  readonly kind: string
}

/** Where one pipeline lands: its table, the options of its sink, and the facts about its source that a sink needs. */
export interface SinkTarget<Options extends SinkOptions = SinkOptions> {
  /** The pipeline's name. */
  readonly name: string
  readonly sink: Options
  readonly table: TableDeclaration
  /** Access to the account of the logs, for a table in the same account; undefined for the embedded storage. */
  readonly sourceStorage: AccountStorage | undefined
  /** Whether the pipeline lands a blob, by its `source_blob`: several pipelines can share a table. */
  readonly landsBlob: (blob: string) => boolean
}

/** The part of a target that identifies its table. */
export type TableOf<Options extends SinkOptions = SinkOptions> = Pick<SinkTarget<Options>, 'sink' | 'table'>

/**
 * A kind of sink: everything that differs between one kind of table and another. Nothing outside of `sinks/` asks for
 * `sink.kind`.
 */
export interface Sink<Options extends SinkOptions = SinkOptions> {
  /** The value of `sink.kind` in a config. */
  readonly kind: Options['kind']

  /** Checks the options of a config and fills in their defaults. */
  readonly options: z.ZodType<Options>

  /** When a batch is sealed if the config does not say. */
  batchDefaults(options: Options): BatchDefaults

  /** @returns the options with every relative path resolved against a directory */
  resolvePaths(options: Options, directory: string): Options

  /** @returns `found …, expected …` for a table name that this kind of sink cannot use; undefined for any other */
  nameMistake(name: TableName): string | undefined

  /** @returns a text that is the same for two pipelines exactly if they land in the same table; for messages too */
  tableId(target: TableOf<Options>): string

  /** @returns the table's name in the offset file, which is refused for any other table */
  offsetsTable(target: TableOf<Options>): string

  /**
   * Makes this process the only one that lands for a pipeline with a state directory, or one of several that fence each
   * other off. Only where the offset file is the truth, or can become it: other tables fence off a second process by
   * themselves. Called before anything of the pipeline is read.
   *
   * @throws STATE_LOCKED
   */
  lock?(
    target: SinkTarget<Options>,
    stateDirectory: string,
  ): Promise<{ readonly release: () => void } | undefined>

  /**
   * @returns why shards cannot divide the blobs of a pipeline, as the end of a sentence about it; undefined when they can.
   * Absent where they always can.
   */
  refusesShards?(options: Options): string | undefined

  /**
   * Opens the table for landing and creates it if it is missing.
   *
   * @throws TABLE_UNSUPPORTED, TABLE_SCHEMA_MISMATCH, TABLE_CORRUPT, WAREHOUSE_DENIED, LOAD_UNCLEAR
   */
  open(context: OpenSink<Options>): Promise<OpenedSink>

  /**
   * Checks that a table exists before a replay opens it. Only where `open` would create it.
   *
   * @throws REPLAY_OUT_OF_RANGE
   */
  requireTable?(context: SinkContext<Options>): Promise<void>

  /** Reads a table without changing it. */
  inspect(context: SinkContext<Options>): Promise<TableInspection>

  /**
   * Creates the table if it is missing, and adds columns where that is allowed, as a run would.
   *
   * @returns a sentence about the table
   * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, WAREHOUSE_DENIED
   */
  createTable(context: SinkContext<Options>): Promise<string | Unsupported>

  /** @returns the statement that creates the table, without a semicolon */
  createTableSql(target: SinkTarget<Options>): string | Unsupported

  /** @returns the relation that shows the rows of a table to readers, where that is not the table itself */
  readName?(target: TableOf<Options>): TableName

  /** Rows that any number of processes store, for one that lands them later. */
  units(options: Options): SinkUnits<Options> | Unsupported

  /** Statements of users over tables of this kind. */
  readonly query: SinkQuery<Options> | Unsupported

  /** Lists the commits of a table. */
  readonly history: SinkHistory<Options> | Unsupported

  /** Merges and deletes files of a table. */
  readonly maintenance: SinkMaintenance<Options> | Unsupported

  /** Prepares the system that tables are in, and tries whether a pipeline could land there. */
  readonly setup: SetupOf<Options> | Unsupported
}

/** Help for an administrator of the system that tables of one kind are in. */
export type SetupOf<Options extends SinkOptions = SinkOptions> = SinkSetup<
  SinkTarget<Options>,
  SinkContext<Options>,
  OpenSink<Options>,
  OpenedSink
>

/** An ability that a kind of sink lacks. */
export interface Unsupported {
  /** Completes the sentence "The table of primary …": why, and what to do instead. */
  readonly because: string
}

export interface BatchDefaults {
  readonly maxBytes: number
  readonly maxAgeMs: number
  /** The default of `batch.landEvery` for a config without `batch.maxAgeMs`. Default none. */
  readonly landEveryMs?: number | undefined
  /** The greatest `batch.maxBytes` that the options allow, and which of them limits it, such as `mode merge`. */
  readonly limit?: { readonly maxBytes: number; readonly with: string } | undefined
}

/** For the commands: each gives up in the end, unlike a run, which waits out any outage. */
export interface SinkContext<Options extends SinkOptions = SinkOptions> {
  readonly target: SinkTarget<Options>
  readonly stateDirectory: string
  /** Ends the requests of `inspect`. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

export interface OpenSink<Options extends SinkOptions = SinkOptions> {
  readonly target: SinkTarget<Options>
  readonly stagingDirectory: string
  /** Reads spools and Parquet files; the caller closes it. */
  readonly engine: EmbeddedEngine
  /** The content of the offset file when the pipeline was opened. */
  readonly storedOffsets: OffsetFileContent | undefined | 'corrupt'
  readonly offsets: OffsetFileWriter
  /** Default: no other process lands the pipeline. */
  readonly upkeepShare?: UpkeepShare | undefined
  /** Ends the opening and every later wait for the table's storage or warehouse. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** The part of the work beside a run that falls to one of several shards. */
export interface UpkeepShare {
  /** Whether the work falls to this shard. The others step in where it is left undone for long. */
  readonly isOwn: boolean
  /** How many shards land the pipeline. */
  readonly shards: number
}

/** How files are encoded for a table that is open. */
export interface OpenedFiles {
  /** How batches are encoded: `by-partition` leaves the partition columns out of the files. */
  readonly encodedFiles: 'by-partition' | 'whole'
  /** Directories on this machine that grow with the table. */
  readonly directories: readonly string[]
}

export interface SinkUnits<Options extends SinkOptions = SinkOptions> {
  /**
   * Opens what the rows of units are stored in. The state directory is not that of the pipeline's run.
   *
   * @throws as `Sink.open`, where the table has to be read
   */
  openStore(context: OpenSink<Options>): Promise<OpenedUnitStore>
}

/** A store of units that is open. */
export interface OpenedUnitStore extends OpenedFiles {
  readonly store: UnitStore
}

/** A table that is open for landing. */
export interface OpenedSink extends OpenedFiles {
  readonly committer: TableCommitter
  /**
   * Starts the work beside a run, such as merging small files.
   *
   * @param isHeld whether work has to wait because disk space is short
   */
  startUpkeep?(isHeld: () => boolean): TableUpkeep
}

/** Work on a table beside the run that lands in it. */
export interface TableUpkeep {
  /** Called for each landed batch that has rows; does not block. */
  noteLanded(): void
  /** Ends the work under way; the table is as valid as before. */
  stop(): Promise<void>
}

/** Reads of one table by commands. */
export interface TableInspection {
  /**
   * How far the pipeline has landed each blob generation; the newest generation of each blob comes last. Without those in
   * `archive`.
   */
  generations(): Promise<readonly LandedOffset[]>

  /** The pipeline's offsets that are in the table's archive alone; absent or undefined for a table without an archive. */
  readonly archive?: ArchivedOffsets | undefined

  /** @returns undefined when there is no table yet, or no way to query its rows */
  rows(): Promise<LandedRows | undefined>

  /** The longest time until landed rows show in `rows()`, in milliseconds; absent where they show at once. */
  readonly showsWithinMs?: number | undefined

  /** The days whose rows were not deleted on purpose; absent or undefined when all were kept. */
  readonly retainedDays?: RetainedDays | undefined

  /**
   * Checks whether a run could land in the table.
   *
   * @returns one or more sentences about the table
   * @throws TABLE_DENIED, TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, WAREHOUSE_DENIED: the error a run would fail with
   */
  check(): Promise<readonly string[]>

  /**
   * Finds changes of the table since the last start that may have removed landed rows. Only where the table does not say
   * itself how far rows go.
   *
   * @returns a sentence for each
   */
  changes?(): Promise<readonly string[]>

  close(): Promise<void>
}

export interface SinkQuery<Options extends SinkOptions = SinkOptions> {
  /**
   * Names the engine that runs statements over a table: one statement can use all tables of one engine.
   *
   * @returns undefined for the engine of this process, which goes first when a config has tables of several engines
   */
  engineOf(target: SinkTarget<Options>): string | undefined

  /** The SQL that the engine runs. */
  readonly dialect: ViewDialect

  /** @returns the table's name in a statement */
  relationOf(target: SinkTarget<Options>): string

  /**
   * Runs a statement and hands on its rows meanwhile.
   *
   * @param targets all with the same `engineOf`
   * @throws USAGE, QUERY_FAILED, QUERY_REFUSED, STATEMENT_FAILED
   */
  run(targets: readonly SinkTarget<Options>[], request: QueryRequest): Promise<void>

  /**
   * Keeps engines between statements, so that not each of them reads the tables' logs again. Only where the engine is that
   * of this process.
   *
   * @param targets all with the same `engineOf`
   */
  openSession?(targets: readonly SinkTarget<Options>[], options: SessionOptions): QuerySession
}

export interface QueryRequest {
  readonly sql: string
  /** Allows any statements, with the rights of this process. Default: one statement that reads. */
  readonly unsafe: boolean
  readonly moment: TableMoment
  readonly take: TakeRows
  /** Interrupts the statement. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

export interface SinkHistory<Options extends SinkOptions = SinkOptions> {
  /**
   * @param maxCommits the newest commits are read, one after the other
   * @returns undefined when there is no table yet
   */
  read(context: SinkContext<Options>, maxCommits: number): Promise<TableHistory | undefined>
}

export interface SinkMaintenance<Options extends SinkOptions = SinkOptions> {
  /**
   * Merges all small files.
   *
   * @returns undefined when there is no table yet
   */
  optimize(context: MaintenanceContext<Options>): Promise<OptimizeReport | undefined>

  /**
   * Finds the files that no version within the retention needs, and deletes them if the request says so.
   *
   * @returns undefined when there is no table yet
   */
  vacuum(context: MaintenanceContext<Options>, request: VacuumRequest): Promise<VacuumReport | undefined>

  /**
   * Deletes the rows of old days as whole partitions, in one commit. Offsets stay.
   *
   * @returns undefined when there is no table yet
   * @throws RETENTION_REFUSED when no day would remain
   */
  retain(context: MaintenanceContext<Options>, request: RetainRequest): Promise<RetainReport | undefined>
}

export interface RetainRequest {
  /** Today (UTC) and so many days before it are kept. */
  readonly days: number
  /** Whether every day may be deleted, by the clock of this machine alone. */
  readonly allowEmpty: boolean
  /** Whether the days are deleted, or only reported. */
  readonly deletes: boolean
}

export interface MaintenanceContext<Options extends SinkOptions = SinkOptions> extends SinkContext<Options> {
  /** The pipeline's staging directory; a later run removes what a crash leaves there. */
  readonly stagingDirectory: string
}

export interface VacuumRequest {
  /** Default: the table's own rule. */
  readonly retentionMs?: number | undefined
  /** Allows a retention that can delete files of a write under way. */
  readonly allowShortRetention: boolean
  /** Whether expired files are deleted, or only reported. */
  readonly deletes: boolean
}
