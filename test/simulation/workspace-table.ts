import type { Clock } from '../../src/clock.ts'
import { TailraceError } from '../../src/errors.ts'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../src/records.ts'
import { DatabricksCommitter } from '../../src/sinks/databricks/committer.ts'
import { CopyInto } from '../../src/sinks/databricks/loading/copy-into.ts'
import { MergeLoader } from '../../src/sinks/databricks/loading/merge-loader.ts'
import { RangeRows } from '../../src/sinks/databricks/loading/range-rows.ts'
import { ReplaceWhereLoader } from '../../src/sinks/databricks/loading/replace-where-loader.ts'
import type { RowLoader } from '../../src/sinks/databricks/loading/row-loader.ts'
import { VolumeLoader } from '../../src/sinks/databricks/loading/volume-loader.ts'
import { BatchFiles } from '../../src/sinks/databricks/staging/batch-files.ts'
import { StagedFiles } from '../../src/sinks/databricks/staging/staged-files.ts'
import { UnitFiles } from '../../src/sinks/databricks/staging/unit-files.ts'
import { startingOffsets } from '../../src/sinks/databricks/transactions/hand-over.ts'
import { OffsetsTable } from '../../src/sinks/databricks/transactions/offsets-table.ts'
import {
  TransactionCommitter,
  type TransactionCommitterOptions,
} from '../../src/sinks/databricks/transactions/transaction-committer.ts'
import { Turns } from '../../src/sinks/databricks/transactions/turns.ts'
import { ZerobusLoader } from '../../src/sinks/databricks/zerobus/zerobus-loader.ts'
import type { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import type { TableCommitter } from '../../src/sinks/table-committer.ts'
import type { Column } from '../../src/tables/table.ts'
import type { History } from './history.ts'
import type { LandedTable } from './landed-whole.ts'
import type { Life, MachineFiles } from './machine.ts'
import { readSimulatedFile } from './memory-files.ts'
import { MemoryOffsets } from './memory-offsets.ts'
import {
  MemoryStaging,
  MemoryVolume,
  MemoryWarehouse,
  type WorkspaceRule,
  workspaceUnavailable,
} from './memory-workspace.ts'
import { MemoryZerobus } from './memory-zerobus.ts'
import { intendedFilesIn, landedIn } from './offset-files.ts'
import { type SinkKind, type WorldPlan, workspaceFaults } from './plan.ts'
import { type CommitterContext, type OpenCommitter, pipelineName, type SimulatedTable } from './process.ts'
import { columnsOf, rowsOfFile, type SimulatedRow } from './row-encoder.ts'
import type { WorldCalls } from './world-calls.ts'

export interface SimulatedWorkspaceTableOptions {
  readonly plan: WorldPlan
  readonly mode: Exclude<SinkKind, 'delta'>
  readonly clock: Clock
  readonly calls: WorldCalls
  readonly history: History
  readonly filesOf: (process: { readonly id: string }) => MachineFiles
  readonly fail: (error: unknown) => void
}

/** Longer than a process waits for an answer, and shorter than it waits for another load of its files. */
const maxLateMs = 240_000

/** A table of a Databricks workspace in memory, with the faults of its warehouse and its volume. */
export class SimulatedWorkspaceTable implements SimulatedTable {
  readonly visible: LandedTable
  readonly #options: SimulatedWorkspaceTableOptions
  readonly #volume = new MemoryVolume()
  readonly #warehouse: MemoryWarehouse
  readonly #zerobus: MemoryZerobus
  readonly #transacted = new MemoryOffsets()
  readonly #rows = new Map<string, SimulatedRow>()
  readonly #loaded = new Set<string>()
  #commits = 0

  constructor(options: SimulatedWorkspaceTableOptions) {
    this.#options = options
    const table = this
    this.#warehouse = new MemoryWarehouse(
      {
        get rows() {
          return [...table.#rows.values()]
        },
        load: (paths, rows) => this.#load(paths, rows),
        replace: (isReplaced, rows) => this.#replace(isReplaced, rows),
        hasLoaded: (path) => this.#loaded.has(path),
      },
      this.#transacted,
      this.#volume,
      options.clock,
    )
    this.#zerobus = new MemoryZerobus({
      add: (rows) => this.#show(rows),
      between: (minMs, maxMs) => options.calls.between(minMs, maxMs),
      clock: options.clock,
    })
    this.visible = {
      get offsets() {
        return table.#offsets
      },
      // These have no intent: a MERGE adds only missing rows, REPLACE WHERE removes those that are there, and a view shows
      // those of Zerobus once.
      mayHaveUnrecordedRows: ['merge', 'replace-where', 'zerobus'].includes(options.mode),
      rowsOf: (source) => this.#rowsOf(source),
    }
  }

  /** Loads of files or rows. */
  get commits(): number {
    return this.#commits
  }

  /** @returns the committer of one process, as the sink opens it */
  readonly openCommitter: OpenCommitter = async (context, life) => {
    const { mode } = this.#options
    if (mode === 'transaction') return this.#openTransactions(context, life)
    const { storedOffsets, offsets } = context
    const known = storedOffsets === 'corrupt' ? undefined : storedOffsets
    const committer = new DatabricksCommitter({
      location: 'simulated table',
      loader: this.#loaderOf(context, life),
      ledger: offsets,
      offsets: known?.offsets ?? new LandedOffsets(),
      recoversOffsets: known === undefined,
      landsBlob: (blob) => this.#lands(life, blob),
      onOffsetsRecovered: () => {},
      onSettled: () => {},
      onUnsettled: () => {},
      mode: mode === 'merge' || mode === 'zerobus' ? undefined : mode,
      clock: life.clock,
      close: async () => {},
    })
    await committer.open()
    return committer
  }

  async #openTransactions(context: CommitterContext, life: Life): Promise<TableCommitter> {
    const { storedOffsets, offsets, config } = context
    const warehouse = this.#warehouse.reachedBy(life, this.#rule)
    const rows = new RangeRows(warehouse, config.table.name)
    const recorded = typeof storedOffsets === 'object' ? storedOffsets.offsets : undefined
    const landsBlob = (blob: string): boolean => this.#lands(life, blob)
    const committer = new TransactionCommitter({
      location: 'simulated table',
      warehouse,
      declaration: config.table,
      offsets: new OffsetsTable(warehouse, config.table.name, pipelineName),
      turns: new Turns(),
      rows,
      ...this.#sharedFiles(life),
      copiedOffsets: [...(recorded ?? [])].filter(({ blob }) => landsBlob(blob)),
      earlierOffsets: async () =>
        startingOffsets(
          recorded,
          (await rows.ends()).filter(({ blob }) => landsBlob(blob)),
        ),
      maxOrphanMs: 0,
      landsBlob,
      markOf: (source) => offsets.markOf(source),
      onMark: (mark) => {
        if (offsets.markOf(mark) === undefined) offsets.recordMark(mark)
      },
      clock: life.clock,
      close: async () => {},
    })
    await committer.open()
    return committer
  }

  /** All processes of a pipeline stage their files in one folder. */
  #sharedFiles(life: Life): Pick<TransactionCommitterOptions, 'files' | 'stagedFiles' | 'unitFiles'> {
    const staging = new MemoryStaging('/volume/all', this.#volume, life, this.#rule)
    const files = new BatchFiles(staging, life.clock)
    const stagedFiles = new StagedFiles({
      staging,
      retentionMs: 0,
      held: () => files.held,
      clock: life.clock,
      onFailed: () => {},
    })
    const unitFiles = new UnitFiles({ staging, expired: stagedFiles, clock: life.clock })
    return { files, stagedFiles, unitFiles }
  }

  #lands(life: Life, blob: string): boolean {
    const process = this.#options.plan.processes.find(({ id }) => id === processOf(life))
    return process?.onlyBlob === undefined || blob.includes(`/${process.onlyBlob}.`)
  }

  #loaderOf({ config, offsets }: CommitterContext, life: Life): RowLoader {
    const { mode } = this.#options
    const { clock } = life
    const warehouse = this.#warehouse.reachedBy(life, this.#rule)
    const rows = new RangeRows(warehouse, config.table.name)
    // The tables of the double in `doubles/workspace` are created and checked; here one is there.
    const ensureTable = async (): Promise<void> => {}
    if (mode === 'merge')
      return new MergeLoader({
        warehouse,
        declaration: config.table,
        rows,
        ensureTable,
        outwaitLoads: async () => {},
        engine: fileReader(config.table.columns),
        nowMs: () => clock.now(),
      })
    if (mode === 'zerobus')
      return new ZerobusLoader({
        client: this.#zerobus.reachedBy(life, this.#rule, config.table.name),
        declaration: config.table,
        ensureTable,
        engine: fileReader(config.table.columns),
      })
    if (mode === 'replace-where')
      return new ReplaceWhereLoader({
        warehouse,
        declaration: config.table,
        rows,
        ...this.#sharedFiles(life),
        markOf: (source) => offsets.markOf(source),
        ensureTable: async () => config.table.columns.map(({ name }) => name),
        outwaitLoads: async () => {},
        nowMs: () => clock.now(),
      })
    const staging = new MemoryStaging(`/volume/${processOf(life)}`, this.#volume, life, this.#rule)
    return new VolumeLoader({
      staging,
      stagedFiles: new StagedFiles({
        staging,
        retentionMs: mode === 'stage-only' ? undefined : 0,
        held: () => offsets.intent?.files.map(({ name }) => name) ?? [],
        clock,
        onFailed: () => {},
      }),
      table:
        mode === 'stage-only'
          ? undefined
          : {
              rows,
              unitFiles: this.#sharedFiles(life).unitFiles,
              // No units are landed here.
              sentMarks: { put: async () => {} },
              ensureTable,
              copy: new CopyInto({
                warehouse,
                declaration: config.table,
                stagingFolder: staging.folder,
                retry: { clock },
              }),
              mayHideRows: () => false,
              isUntouched: async () => false,
              orphans: { maxMs: maxLateMs, onWait: () => {} },
              clearCache: async () => {},
            },
      clock,
    })
  }

  readonly #rule: WorkspaceRule = (life, call, kind) => {
    const { calls } = this.#options
    const { verdict, fault } = calls.tableVerdict(life, call, {
      group: 'workspace',
      faults: workspaceFaults,
      isPossible: (drawn) =>
        drawn === 'workspace-cut-upload' ? kind === 'upload' : kind === 'statement' || !isOfStatements(drawn),
    })
    switch (fault) {
      case undefined:
        // A process that is killed during an upload leaves any part of the file.
        return kind === 'upload' && verdict.isLast
          ? { ...verdict, arrives: calls.between(0, 100) / 100 }
          : verdict
      case 'workspace-unavailable':
        return { ...verdict, error: workspaceUnavailable() }
      case 'workspace-denied':
        return { ...verdict, error: new TailraceError('WAREHOUSE_DENIED', 'The simulated token is refused.') }
      case 'workspace-slow':
        return { ...verdict, ms: calls.between(1_000, 60_000) }
      case 'workspace-cut-upload':
        return { ...verdict, arrives: calls.between(0, 99) / 100 }
      case 'workspace-lost-reply':
        return { ...verdict, unanswered: 'done' }
      case 'workspace-lost-request':
        return { ...verdict, unanswered: 'never' }
      case 'workspace-late-request':
        return { ...verdict, unanswered: { afterMs: calls.between(1, maxLateMs), hasBegun: false } }
      case 'workspace-orphan':
        return { ...verdict, unanswered: { afterMs: calls.between(1, maxLateMs), hasBegun: true } }
    }
  }

  /** Adds rows, and checks that none was there before and that a load was recorded before it began. */
  #load(paths: readonly string[], rows: readonly SimulatedRow[]): void {
    const { history, fail } = this.#options
    if (rows.length === 0) return
    this.#commits += 1
    try {
      // A transaction needs no intent, so it names none of its files here.
      for (const path of paths) {
        if (!this.#intended(path)) throw new Error(`${path} is loaded without a recorded intent.`)
        this.#loaded.add(path)
      }
      for (const row of rows) add(this.#rows, row)
    } catch (error) {
      fail(error)
    }
    history.note('table', `load ${this.#commits}: ${rows.length} rows`)
  }

  #replace(isReplaced: (row: SimulatedRow) => boolean, rows: readonly SimulatedRow[]): void {
    const { history, fail } = this.#options
    this.#commits += 1
    for (const [place, row] of this.#rows) if (isReplaced(row)) this.#rows.delete(place)
    try {
      for (const row of rows) {
        if (!isReplaced(row))
          throw new Error(`A row at ${row.offset} lies outside of the ranges that are replaced.`)
        add(this.#rows, row)
      }
    } catch (error) {
      fail(error)
    }
    history.note('table', `replacement ${this.#commits}: ${rows.length} rows`)
  }

  /** Keeps the first row of each place, as the view of single rows does: those of the same place are the same record. */
  #show(rows: readonly SimulatedRow[]): void {
    const { history, fail } = this.#options
    this.#commits += 1
    let again = 0
    for (const row of rows) {
      const place = placeOf(row)
      const shown = this.#rows.get(place)
      if (shown === undefined) this.#rows.set(place, row)
      else if (shown.raw !== row.raw) fail(new Error(`There are two records at ${place}.`))
      else again += 1
    }
    history.note('table', `request ${this.#commits}: ${rows.length} rows, ${again} of them again`)
  }

  #intended(path: string): boolean {
    const [, , id, ...name] = path.split('/')
    return intendedFilesIn(this.#options.filesOf({ id: id! })).includes(name.join('/'))
  }

  /** The offset files are the truth, or the offsets table. Of two processes that land a blob, one may lag behind. */
  get #offsets(): LandedOffsets {
    if (this.#options.mode === 'transaction') return this.#transacted.landed
    const all = new LandedOffsets()
    for (const process of this.#options.plan.processes)
      for (const landed of landedIn(this.#options.filesOf(process)))
        if (landed.offset > (all.get(landed) ?? -1)) all.set(landed)
    return all
  }

  #rowsOf(source: BlobGeneration): readonly SimulatedRow[] {
    const rows = this.#options.mode === 'stage-only' ? this.#stagedRows() : this.#rows
    return [...rows.values()]
      .filter((row) => generationKey(row) === generationKey(source))
      .sort((a, b) => a.offset - b.offset || a.index - b.index)
  }

  /** The rows for a reader that loads each staged file once. */
  #stagedRows(): ReadonlyMap<string, SimulatedRow> {
    const rows = new Map<string, SimulatedRow>()
    for (const { bytes } of this.#volume.files.values()) for (const row of rowsOfFile(bytes)) add(rows, row)
    return rows
  }
}

function placeOf(row: SimulatedRow): string {
  return `${generationKey(row)} at ${row.offset}:${row.index}`
}

function add(rows: Map<string, SimulatedRow>, row: SimulatedRow): void {
  const place = placeOf(row)
  if (rows.has(place)) throw new Error(`The row of ${place} is visible twice.`)
  rows.set(place, row)
}

function isOfStatements(fault: (typeof workspaceFaults)[number]): boolean {
  return !['workspace-unavailable', 'workspace-denied', 'workspace-slow'].includes(fault)
}

function processOf({ id }: Life): string {
  return id.split('.')[0]!
}

/** Reads the rows of encoded files, in place of the engine. */
function fileReader(columns: readonly Column[]): EmbeddedEngine {
  const reader: Pick<EmbeddedEngine, 'rolledBack' | 'stream'> = {
    rolledBack: (work) => work(),
    stream: async (sql, take) => {
      const rows = [...sql.matchAll(/'([^']+\.json)'/g)]
        .flatMap(([, path]) => rowsOfFile(readSimulatedFile(path!)))
        .sort((a, b) => a.offset - b.offset || a.index - b.index)
        .map((row) => [row.offset, row.index, 0, ...columns.map(({ name }) => columnsOf(row)[name] ?? null)])
      await take({ columns: [], rows })
    },
  }
  return reader as EmbeddedEngine
}
