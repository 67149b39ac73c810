import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { DuckDbWarehouse, type DuckDbWarehouseOptions } from '../../../doubles/workspace/duckdb-warehouse.ts'
import { DiskVolumes } from '../../../doubles/workspace/volume-files.ts'
import { SqlFailure } from '../../../doubles/workspace/warehouse-engine.ts'
import type { Clock } from '../../../src/clock.ts'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import { LandedOffsets } from '../../../src/offsets/landed-offsets.ts'
import { OffsetFile } from '../../../src/offsets/offset-file.ts'
import { OffsetFileWriter } from '../../../src/offsets/offset-file-writer.ts'
import type { Span } from '../../../src/records.ts'
import { retry } from '../../../src/retry.ts'
import { DatabricksCommitter } from '../../../src/sinks/databricks/committer.ts'
import { CopyInto } from '../../../src/sinks/databricks/loading/copy-into.ts'
import { MergeLoader } from '../../../src/sinks/databricks/loading/merge-loader.ts'
import { outwaitOrphans } from '../../../src/sinks/databricks/loading/orphans.ts'
import { RangeRows } from '../../../src/sinks/databricks/loading/range-rows.ts'
import { ReplaceWhereLoader } from '../../../src/sinks/databricks/loading/replace-where-loader.ts'
import { VolumeLoader } from '../../../src/sinks/databricks/loading/volume-loader.ts'
import { BatchFiles } from '../../../src/sinks/databricks/staging/batch-files.ts'
import { ingestedFiles } from '../../../src/sinks/databricks/staging/ingested-files.ts'
import { SentMarks } from '../../../src/sinks/databricks/staging/sent-marks.ts'
import { StagedFiles } from '../../../src/sinks/databricks/staging/staged-files.ts'
import { stagingBelow } from '../../../src/sinks/databricks/staging/staging-below.ts'
import { UnitFiles, unitsFolder } from '../../../src/sinks/databricks/staging/unit-files.ts'
import type { VolumeStaging } from '../../../src/sinks/databricks/staging/volume-staging.ts'
import { ensureTable, liveColumnNames } from '../../../src/sinks/databricks/tables/live-table.ts'
import { startingOffsets } from '../../../src/sinks/databricks/transactions/hand-over.ts'
import { OffsetsTable } from '../../../src/sinks/databricks/transactions/offsets-table.ts'
import { TransactionCommitter } from '../../../src/sinks/databricks/transactions/transaction-committer.ts'
import { Turns } from '../../../src/sinks/databricks/transactions/turns.ts'
import type { Statement, StatementRow, Warehouse } from '../../../src/sinks/databricks/warehouse/warehouse.ts'
import { EmbeddedEngine, sqlString } from '../../../src/sinks/encoding/engine.ts'
import type { EncodedBatch, TableCommitter, WrittenUnit } from '../../../src/sinks/table-committer.ts'
import { type Column, provenanceColumns, type TableDeclaration } from '../../../src/tables/table.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const volume = '/Volumes/lake/logs/staging'

/** Bytes of a record in these tests. */
export const rowBytes = 10

export const blob = { blob: 'logs/pg.json', generation: '20261124T084700Z' }

/** What happens before or after each call that leaves the process. */
export type Step = <T>(name: string, call: () => Promise<T>) => Promise<T>

const undisturbed: Step = (_name, call) => call()

/** The committer over the engine of the test warehouse itself, without a network between. */
export interface CommitterFixture {
  readonly warehouse: DuckDbWarehouse
  readonly volumes: DiskVolumes
  open(table: string, options?: OpenOptions): Promise<TableCommitter>
  /** Rows of `[start, end)`, each of ten bytes, whose message is their offset and `text`. */
  encode(span: Span, text?: string): Promise<EncodedBatch>
  /** Records of a document that has grown by a span; each is a row whose message is its name. */
  encodeDocument(span: Span, records: readonly string[]): Promise<EncodedBatch>
  /** Stores rows as a process does that writes one unit. */
  writeUnit(table: string, spans: readonly Span[], clock?: Clock): Promise<WrittenUnit>
  /** The same with rows that are encoded already. */
  storeUnit(
    table: string,
    spans: readonly Span[],
    encoded: readonly EncodedBatch[],
    clock?: Clock,
  ): Promise<WrittenUnit>
  /** Names in a table's staging folder. */
  staged(table: string): Promise<readonly string[]>
  putStaged(table: string, name: string): Promise<void>
  removeStaged(table: string): Promise<void>
  offsetPath(table: string): string
  /** Removes a table's offset file. */
  forget(table: string): Promise<void>
  /** Offset and message of all rows of a table. */
  rows(table: string): Promise<readonly string[]>
}

export type FixtureMode = 'transaction' | 'replace-where' | 'copy-into' | 'merge' | 'stage-only'

export interface OpenOptions {
  readonly mode?: FixtureMode
  readonly step?: Step
  readonly clock?: Clock
  readonly retentionMs?: number
  readonly recoversOffsets?: boolean
  /** Whether the principal may not see all rows. Default false. */
  readonly hidesRows?: boolean
  /** Whether a table that is created can take transactions, whatever the mode. */
  readonly isManaged?: boolean
  /** How long a statement of an earlier process may run on. Default 0. */
  readonly orphanMs?: number
  /** Default: the table's name. */
  readonly pipeline?: string
  readonly onClose?: () => void
  /** Hears of staged files that could not be removed. Default: the work that removes them fails. */
  readonly onNotRemoved?: (error: unknown) => void
}

const columns: readonly Column[] = [
  ...provenanceColumns,
  { name: 'event_time', type: 'timestamp', comment: 'When it happened.' },
  { name: 'query_id', type: 'long', comment: 'Beyond 2^53.' },
  { name: 'message', type: 'string', comment: "A text with a 'quote' and a \\ in its comment." },
]

export function declarationOf(table: string): TableDeclaration {
  const projection = {
    select: (): string => {
      throw new Error('nothing is encoded from a spool here')
    },
  }
  return {
    name: { catalog: 'lake', schema: 'logs', table },
    columns,
    partitionColumns: [],
    strict: false,
    projection,
  }
}

const instant: Clock = { now: () => Date.now(), sleep: async () => {}, after: () => () => {} }

export async function committerFixture(
  t: TestContext,
  options: Partial<DuckDbWarehouseOptions> = {},
): Promise<CommitterFixture> {
  const directory = await temporaryDirectory(t)
  const volumes = new DiskVolumes(await made(join(directory, 'volumes')))
  await volumes.create('lake', 'logs', 'staging')
  const warehouse = await DuckDbWarehouse.open({ volumes, ...options })
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(async () => {
    warehouse.close()
    await engine.close()
  })
  const direct = new DirectWarehouse(warehouse)
  await direct.execute({ label: '', sql: 'CREATE CATALOG lake', repeatable: true })
  await direct.execute({ label: '', sql: 'CREATE SCHEMA lake.logs', repeatable: true })

  const open: CommitterFixture['open'] = async (table, options = {}) => {
    const { mode = 'copy-into', step = undisturbed, clock = instant, recoversOffsets = false } = options
    const declaration = declarationOf(table)
    const store = new OffsetFile({ stateDirectory: join(directory, 'state'), pipeline: table, table })
    const file = await store.read()
    const steppingFile: Pick<OffsetFile, 'write'> = {
      write: (offsets, notes) => step('record', () => store.write(offsets, notes)),
    }
    const ledger = new OffsetFileWriter({
      file: steppingFile,
      marks: [],
      intent: file?.intent,
      unsettled: file?.unsettled,
      clock,
    })
    const stepping: Warehouse = {
      location: 'test',
      execute: (statement) => step(statement.label, () => direct.execute(statement)),
      close: async () => {},
    }
    const staging = steppingStaging(new DirectStaging(volumes, `${volume}/${table}`), step)
    const rows = new RangeRows(stepping, declaration.name)
    const ensure = (): Promise<void> =>
      ensureTable({
        warehouse: stepping,
        declaration,
        layout: { clusterBy: ['event_time'] },
        properties:
          mode === 'transaction' || options.isManaged ? { 'delta.feature.catalogManaged': 'supported' } : {},
        create: true,
        evolve: false,
        hasLanded: async () => (file?.offsets.blobCount ?? 0) > 0,
      })
    const orphans = { maxMs: options.orphanMs ?? 0, onWait: () => {} }
    const files = new BatchFiles(staging, clock)
    const stagedFiles = new StagedFiles({
      staging,
      retentionMs: options.retentionMs,
      held: () => files.held,
      clock,
      onFailed: (error) => {
        throw error
      },
    })
    const outwaitLoads = async (): Promise<void> =>
      outwaitOrphans(orphans, await stagedFiles.newestMs({ ofLoads: true }), clock)
    if (mode === 'transaction') {
      await ensure()
      const offsets = new OffsetsTable(stepping, declaration.name, options.pipeline ?? table)
      await offsets.create()
      const committer = new TransactionCommitter({
        location: table,
        warehouse: stepping,
        declaration,
        offsets,
        turns: new Turns(),
        rows,
        files,
        stagedFiles,
        unitFiles: unitFiles(staging, clock),
        copiedOffsets: file?.offsets ?? [],
        earlierOffsets: async () => startingOffsets(file?.offsets, await rows.ends()),
        maxOrphanMs: orphans.maxMs,
        landsBlob: () => true,
        markOf: () => undefined,
        onMark: () => {},
        clock,
        close: async () => options.onClose?.(),
      })
      await committer.open()
      return committer
    }
    const loader =
      mode === 'replace-where'
        ? new ReplaceWhereLoader({
            warehouse: stepping,
            declaration,
            rows,
            files,
            stagedFiles,
            unitFiles: unitFiles(staging, clock),
            markOf: (source) => ledger.markOf(source),
            ensureTable: async () => {
              await ensure()
              return liveColumnNames(stepping, declaration.name)
            },
            outwaitLoads,
            nowMs: () => clock.now(),
          })
        : mode === 'merge'
          ? new MergeLoader({
              warehouse: stepping,
              declaration,
              engine,
              rows,
              ensureTable: ensure,
              outwaitLoads,
              nowMs: () => clock.now(),
            })
          : new VolumeLoader({
              staging,
              stagedFiles: new StagedFiles({
                staging,
                retentionMs: options.retentionMs,
                held: () => ledger.intent?.files.map(({ name }) => name) ?? [],
                ingested:
                  mode === 'stage-only'
                    ? (names) => ingestedFiles(stepping, declaration.name, staging.folder, names)
                    : undefined,
                clock,
                onFailed:
                  options.onNotRemoved ??
                  ((error) => {
                    throw error
                  }),
              }),
              table:
                mode === 'stage-only'
                  ? undefined
                  : {
                      rows,
                      unitFiles: unitFiles(staging, clock),
                      sentMarks: new SentMarks({ staging, directory, nowMs: () => clock.now() }),
                      ensureTable: ensure,
                      copy: new CopyInto({
                        warehouse: stepping,
                        declaration,
                        stagingFolder: staging.folder,
                        retry: { clock },
                      }),
                      mayHideRows: () => options.hidesRows ?? false,
                      isUntouched: async () => false,
                      orphans,
                      clearCache: async () => {},
                    },
              clock,
            })
    const committer = new DatabricksCommitter({
      location: table,
      loader,
      ledger,
      mode: mode === 'merge' ? undefined : mode,
      offsets: file?.offsets ?? new LandedOffsets(),
      recoversOffsets,
      landsBlob: () => true,
      onOffsetsRecovered: () => {},
      onSettled: () => {},
      onUnsettled: () => {},
      clock,
      close: async () => options.onClose?.(),
    })
    await committer.open()
    return committer
  }

  const staged: CommitterFixture['staged'] = async (table) =>
    (await volumes.list(`${volume}/${table}`)).map(({ path }) => path.slice(`${volume}/${table}/`.length))

  const offsetPath = (table: string): string => join(directory, 'state', `${table}.offset.json`)

  let ingestUs = 1_795_510_475_000_000

  const encode: CommitterFixture['encode'] = (span, text = '') =>
    encodeRows(
      span,
      `SELECT o, ${rowBytes} AS bytes, 0 AS i, o || ${sqlString(text)} AS message FROM range(${span.start}, ${span.end}, ${rowBytes}) AS r(o)`,
    )

  const encodeDocument: CommitterFixture['encodeDocument'] = (span, records) => {
    const { start: o, end } = span
    const rows = records.map((record, i) => `(${o}, ${end - o}, ${i}, ${sqlString(record)})`)
    return encodeRows(span, `SELECT * FROM (VALUES ${rows.join(', ')}) AS v(o, bytes, i, message)`)
  }

  const encodeRows = async (span: Span, rows: string): Promise<EncodedBatch> => {
    ingestUs += 1_234
    const path = join(await made(join(directory, 'encoded')), `${randomUUID()}.parquet`)
    const [file] = await engine.copy(`COPY (SELECT ${sqlString(span.blob)} AS source_blob,
          ${sqlString(span.generation)} AS source_generation, o::BIGINT AS source_offset, bytes::BIGINT AS source_length,
          i::INTEGER AS source_index, 'ok' AS parse_status, make_timestamptz(${ingestUs}) AS ingest_ts,
          make_timestamptz(1795510475123456 + o) AS event_time, 9007199254740993 + o AS query_id,
          message
        FROM (${rows}))
        TO ${sqlString(path)} (FORMAT parquet, RETURN_STATS)`)
    if (file === undefined) return { files: [], rows: 0, rejected: 0, partial: 0 }
    return { files: [file], rows: file.rows, rejected: 0, partial: 0 }
  }

  const storeUnit: CommitterFixture['storeUnit'] = async (table, spans, encoded, clock = instant) => {
    const units = unitFiles(new DirectStaging(volumes, `${volume}/${table}`), clock)
    const files = await units.store(encoded)
    return { spans, files, rows: encoded.reduce((sum, { rows }) => sum + rows, 0) }
  }

  return {
    warehouse,
    volumes,
    open,
    encode,
    encodeDocument,
    writeUnit: async (table, spans, clock) => {
      const encoded: EncodedBatch[] = []
      for (const span of spans) encoded.push(await encode(span))
      return storeUnit(table, spans, encoded, clock)
    },
    storeUnit,
    staged,
    putStaged: (table, name) => volumes.write(`${volume}/${table}/${name}`, Buffer.from('x')),
    removeStaged: async (table) => {
      for (const name of await staged(table)) await volumes.remove(`${volume}/${table}/${name}`)
    },
    offsetPath,
    forget: (table) => rm(offsetPath(table), { force: true }),
    rows: async (table) => {
      const found = await warehouse.rows(
        `SELECT source_offset || ' ' || message || ' ' || (query_id - source_offset - 9007199254740993)
          || ' ' || (epoch_us(event_time) - source_offset - 1795510475123456) AS r
        FROM "lake"."logs"."${table}" ORDER BY source_offset, message`,
      )
      return found.map(({ r }) => String(r))
    },
  }
}

/** Starts anew. @returns why the blob of these tests is held, so that nothing of it can be landed */
export async function heldBecause(fixture: CommitterFixture, options: OpenOptions = {}): Promise<unknown> {
  const committer = await fixture.open('logs', options)
  const because = committer.heldBlobs?.get(blob.blob)
  assert.ok(because !== undefined, 'the blob is not held')
  const next = span(committer.landed().get(blob) ?? 0, 1_000)
  await assert.rejects(committer.land([next], await fixture.encode(next)), because)
  return because
}

/** What `rows` gives for the rows of a span. */
export function rowsOf(span: Pick<Span, 'start' | 'end'>, text = ''): string[] {
  const offsets = Array.from(
    { length: (span.end - span.start) / rowBytes },
    (_, index) => span.start + index * rowBytes,
  )
  return offsets.map((offset) => `${offset} ${offset}${text} 0 0`)
}

export function span(start: number, end: number): Span {
  return { ...blob, start, end }
}

async function made(path: string): Promise<string> {
  await mkdir(path, { recursive: true })
  return path
}

/** Executes statements in the engine behind the test warehouse, without a network between. */
export function directWarehouse(engine: DuckDbWarehouse): Warehouse {
  return new DirectWarehouse(engine)
}

/** As a process has them that opens a table. */
function unitFiles(all: VolumeStaging, clock: Clock): UnitFiles {
  const staging = stagingBelow(all, unitsFolder)
  const expired = new StagedFiles({
    staging,
    retentionMs: undefined,
    held: () => [],
    clock,
    onFailed: () => {},
  })
  return new UnitFiles({ staging, expired, clock })
}

class DirectWarehouse implements Warehouse {
  readonly location = 'test'
  readonly #engine: DuckDbWarehouse

  constructor(engine: DuckDbWarehouse) {
    this.#engine = engine
  }

  /** Sends a statement that takes turns again after a conflict, as the client of a workspace does with every one. */
  async execute(statement: Statement): Promise<readonly StatementRow[]> {
    return retry(() => this.#attempt(statement), {
      policy: { baseMs: 1, capMs: 20, maxAttempts: 50 },
      giveUp: ({ error }) =>
        statement.inTurn === undefined || !isTailraceError(error, 'WAREHOUSE_UNAVAILABLE'),
    })
  }

  async #attempt({ sql, parameters = {} }: Statement): Promise<readonly StatementRow[]> {
    try {
      const result = await this.#engine.execute(sql, {
        parameters: Object.entries(parameters).map(([name, value]) => ({
          name,
          type: typeof value === 'bigint' ? 'BIGINT' : 'STRING',
          value: value === null ? null : String(value),
        })),
        catalog: undefined,
        schema: undefined,
        signal: new AbortController().signal,
      })
      if (result.kind === 'staging') throw new Error('files go to the volume directly here')
      return result.rows.map((row) =>
        Object.fromEntries(result.columns.map(({ name }, index) => [name, row[index]])),
      )
    } catch (error) {
      if (!(error instanceof SqlFailure)) throw error
      // As the driver's errors are read: a conflict passes, and had no effect.
      const isConflict = error.errorClass === 'DELTA_CONCURRENT_APPEND'
      throw new TailraceError(isConflict ? 'WAREHOUSE_UNAVAILABLE' : 'STATEMENT_FAILED', error.message, {
        context: { errorClass: error.errorClass, sqlState: error.sqlState, executed: 'failed' },
      })
    }
  }

  async close(): Promise<void> {}
}

/** Puts files into the volume's directory. */
class DirectStaging implements VolumeStaging {
  readonly folder: string
  readonly #volumes: DiskVolumes

  constructor(volumes: DiskVolumes, folder: string) {
    this.#volumes = volumes
    this.folder = folder
  }

  async put(name: string, localPath: string): Promise<void> {
    await this.#volumes.write(`${this.folder}/${name}`, await readFile(localPath))
  }

  async sizeOf(name: string): Promise<number | undefined> {
    const path = this.#volumes.onDisk(`${this.folder}/${name}`)
    return stat(path).then(
      ({ size }) => size,
      () => undefined,
    )
  }

  async remove(name: string): Promise<void> {
    await this.#volumes.remove(`${this.folder}/${name}`)
  }

  async list(folder: string): ReturnType<VolumeStaging['list']> {
    const entries = (await this.#volumes.entries(`${this.folder}/${folder}`)) ?? []
    const below = folder === '' ? '' : `${folder}/`
    const files = entries
      .filter(({ name }) => !name.endsWith('/'))
      .map(({ name, bytes, modifiedAtMs }) => ({ name: `${below}${name}`, bytes, modifiedAtMs }))
    const folders = entries.flatMap(({ name }) =>
      name.endsWith('/') ? [`${below}${name.slice(0, -1)}`] : [],
    )
    return { files, folders }
  }
}

function steppingStaging(staging: VolumeStaging, step: Step): VolumeStaging {
  return {
    folder: staging.folder,
    put: (name, path) => step(name.endsWith('.sent') ? 'put a mark' : 'put', () => staging.put(name, path)),
    sizeOf: (name) => step('sizeOf', () => staging.sizeOf(name)),
    remove: (name) => step('remove', () => staging.remove(name)),
    list: (folder) => step('list', () => staging.list(folder)),
  }
}
