import { posix } from 'node:path'
import type { Clock } from '../../src/clock.ts'
import { TailraceError } from '../../src/errors.ts'
import type { StagedFile, VolumeStaging } from '../../src/sinks/databricks/staging/volume-staging.ts'
import type { Statement, StatementRow, Warehouse } from '../../src/sinks/databricks/warehouse/warehouse.ts'
import type { CallVerdict, Life } from './machine.ts'
import { readSimulatedFile } from './memory-files.ts'
import type { MemoryOffsets } from './memory-offsets.ts'
import { rowOfColumns, rowsOfFile, type SimulatedRow } from './row-encoder.ts'

/** The outcome of one call to the workspace. */
export interface WorkspaceVerdict extends CallVerdict {
  /** Of a statement whose reply is lost: whether and when it is executed, and whether it has begun meanwhile. */
  readonly unanswered?:
    | 'done'
    | 'never'
    | { readonly afterMs: number; readonly hasBegun: boolean }
    | undefined
  /** Of an upload that breaks off: the share of the file that arrives. */
  readonly arrives?: number | undefined
}

export type WorkspaceRule = (
  life: Life,
  call: string,
  kind: 'statement' | 'upload' | 'other',
) => WorkspaceVerdict

/** The files of a volume, by path. */
export class MemoryVolume {
  readonly files = new Map<string, { readonly bytes: Buffer; readonly modifiedAtMs: number }>()
}

/** Rows of a table and the files that it counts as loaded, as COPY INTO and MERGE know them. */
export interface MemoryTable {
  readonly rows: readonly SimulatedRow[]
  /** Adds the rows of files; all of them or none. */
  load(paths: readonly string[], rows: readonly SimulatedRow[]): void
  /** Replaces the rows that a condition holds for; all rows or none. */
  replace(isReplaced: (row: SimulatedRow) => boolean, rows: readonly SimulatedRow[]): void
  /** Whether the table's list of loaded files has one. */
  hasLoaded(path: string): boolean
}

/** Executes the few statements that a pipeline sends while it lands batches. */
export class MemoryWarehouse implements Warehouse {
  readonly location = 'simulated warehouse'
  readonly #table: MemoryTable
  readonly #offsets: MemoryOffsets
  readonly #volume: MemoryVolume
  /** Files that a COPY is loading, of which nobody hears. */
  readonly #beingLoaded = new Set<string>()
  readonly #clock: Clock

  /** @param clock of statements that go on without the process that sent them */
  constructor(table: MemoryTable, offsets: MemoryOffsets, volume: MemoryVolume, clock: Clock) {
    this.#table = table
    this.#offsets = offsets
    this.#volume = volume
    this.#clock = clock
  }

  /** @returns the warehouse as one process reaches it */
  reachedBy(life: Life, rule: WorkspaceRule): Warehouse {
    return {
      location: this.location,
      execute: (statement) => this.#sent(statement, life, rule(life, statement.label, 'statement')),
      close: async () => {},
    }
  }

  async execute(statement: Statement): Promise<readonly StatementRow[]> {
    return this.#executed(statement)
  }

  async close(): Promise<void> {}

  #sent(
    statement: Statement,
    life: Life,
    { unanswered, ...verdict }: WorkspaceVerdict,
  ): Promise<readonly StatementRow[]> {
    return life.call(verdict, () => {
      if (unanswered === undefined) return this.#executed(statement)
      if (unanswered === 'done') this.#executedUnheard(statement)
      else if (unanswered !== 'never') this.#executeLater(statement, unanswered)
      throw workspaceUnavailable()
    })
  }

  #executeLater(statement: Statement, { afterMs, hasBegun }: { afterMs: number; hasBegun: boolean }): void {
    const paths = hasBegun && statement.label === 'load files' ? pathsOf(statement.sql) : []
    if (paths.some((path) => this.#beingLoaded.has(path))) return
    for (const path of paths) this.#beingLoaded.add(path)
    this.#clock.after(afterMs, () => {
      for (const path of paths) this.#beingLoaded.delete(path)
      this.#executedUnheard(statement)
    })
  }

  #executedUnheard(statement: Statement): void {
    try {
      this.#executed(statement)
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error
    }
  }

  #executed(statement: Statement): readonly StatementRow[] {
    const { label, sql, parameters = {} } = statement
    switch (label) {
      case 'land a batch':
        this.#offsets.land(statement, () => this.#table.load([], this.#rowsOf(readFilesOf(sql))))
        return []
      case 'begin the offsets':
        this.#offsets.begin(statement)
        return []
      case 'anchor the offsets':
        return []
      case 'read the offsets':
        return this.#offsets.read()
      case 'replace the rows of ranges': {
        const rows = this.#rowsOf(readFilesOf(sql))
        if (this.#table.rows.some((row) => isCrossing(row, statement)))
          throw statementFailed('USER_RAISED_EXCEPTION')
        this.#table.replace((row) => isWithin(row, parameters), rows)
        return [{ num_inserted_rows: BigInt(rows.length) }]
      }
      case 'load files':
        return [{ num_inserted_rows: BigInt(this.#copy(pathsOf(sql))) }]
      case 'merge rows':
        return [{ num_inserted_rows: BigInt(this.#merge(mergedRows(parameters))) }]
      case 'count the rows of ranges':
        return [{ row_count: BigInt(this.#table.rows.filter((row) => isWithin(row, parameters)).length) }]
      case 'find the landed offsets in the rows':
        return endsOf(this.#table.rows.filter((row) => isOfGenerations(row, parameters)))
      default:
        throw new Error(`The simulated warehouse does not know the statement ${label}.`)
    }
  }

  /** Adds the rows of all files, except of those that were loaded before; nothing when one is missing. */
  #copy(paths: readonly string[]): number {
    if (paths.some((path) => this.#beingLoaded.has(path)))
      throw statementFailed('COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED')
    const files = paths.map((path) => ({ path, bytes: this.#volume.files.get(path)?.bytes }))
    if (files.some(({ bytes }) => bytes === undefined)) throw statementFailed('PATH_NOT_FOUND')
    const unloaded = files.filter(({ path }) => !this.#table.hasLoaded(path))
    const rows = unloaded.flatMap(({ bytes }) => rowsOfFile(bytes!))
    this.#table.load(
      unloaded.map(({ path }) => path),
      rows,
    )
    return rows.length
  }

  /** @throws as a statement whose file is not there */
  #rowsOf(paths: readonly string[]): readonly SimulatedRow[] {
    return paths.flatMap((path) => {
      const file = this.#volume.files.get(path)
      if (file === undefined) throw statementFailed('CF_PATH_DOES_NOT_EXIST_FOR_READ_FILES')
      return rowsOfFile(file.bytes)
    })
  }

  /** Adds the rows whose keys the table does not have. */
  #merge(rows: readonly SimulatedRow[]): number {
    const known = new Set(this.#table.rows.map(keyOf))
    const added = rows.filter((row) => !known.has(keyOf(row)))
    this.#table.load([], added)
    return added.length
  }
}

/** A staging folder in the volume, as one process reaches it. */
export class MemoryStaging implements VolumeStaging {
  readonly folder: string
  readonly #volume: MemoryVolume
  readonly #life: Life
  readonly #rule: WorkspaceRule

  constructor(folder: string, volume: MemoryVolume, life: Life, rule: WorkspaceRule) {
    this.folder = folder
    this.#volume = volume
    this.#life = life
    this.#rule = rule
  }

  put(name: string, localPath: string): Promise<void> {
    const bytes = readSimulatedFile(localPath)
    const { arrives, ...verdict } = this.#rule(this.#life, 'put', 'upload')
    return this.#life.call(verdict, () => {
      const arrived = arrives === undefined ? bytes : bytes.subarray(0, Math.floor(arrives * bytes.length))
      this.#volume.files.set(this.#pathOf(name), { bytes: arrived, modifiedAtMs: this.#life.clock.now() })
      if (arrives !== undefined && !verdict.isLast) throw workspaceUnavailable()
    })
  }

  sizeOf(name: string): Promise<number | undefined> {
    return this.#call('sizeOf', () => this.#volume.files.get(this.#pathOf(name))?.bytes.length)
  }

  remove(name: string): Promise<void> {
    return this.#call('remove', () => void this.#volume.files.delete(this.#pathOf(name)))
  }

  list(folder: string): ReturnType<VolumeStaging['list']> {
    return this.#call('list', () => {
      const files: StagedFile[] = []
      const folders = new Set<string>()
      for (const [path, { bytes, modifiedAtMs }] of this.#volume.files) {
        const name = posix.relative(posix.join(this.folder, folder), path)
        if (name.startsWith('..')) continue
        const [first, ...rest] = name.split('/')
        if (rest.length > 0) folders.add(posix.join(folder, first!))
        else files.push({ name: posix.join(folder, name), bytes: bytes.length, modifiedAtMs })
      }
      return { files, folders: [...folders] }
    })
  }

  #pathOf(name: string): string {
    return `${this.folder}/${name}`
  }

  #call<T>(call: string, effect: () => T): Promise<T> {
    return this.#life.call(this.#rule(this.#life, call, 'other'), effect)
  }
}

export function workspaceUnavailable(): TailraceError {
  return new TailraceError('WAREHOUSE_UNAVAILABLE', 'The simulated workspace does not answer.', {
    context: { executed: 'unknown' },
  })
}

function statementFailed(errorClass: string): TailraceError {
  return new TailraceError('STATEMENT_FAILED', `[${errorClass}] simulated`, {
    context: { errorClass, executed: 'failed' },
  })
}

function mergedRows({ rows }: NonNullable<Statement['parameters']>): readonly SimulatedRow[] {
  return (JSON.parse(String(rows)) as Record<string, unknown>[]).map(rowOfColumns)
}

/** The files that a COPY INTO names. */
function pathsOf(sql: string): readonly string[] {
  const [, folder] = / FROM '([^']+)'\)$/m.exec(sql)!
  const [, files] = /^FILES = \((.+)\)$/m.exec(sql)!
  return files!.split(', ').map((name) => `${folder}/${name.slice(1, -1)}`)
}

/** The files that `read_files` names. */
function readFilesOf(sql: string): readonly string[] {
  return [...sql.matchAll(/ FROM read_files\('([^']+)'/g)].map(([, path]) => path!)
}

function isWithin(row: SimulatedRow, parameters: NonNullable<Statement['parameters']>): boolean {
  for (let index = 0; `blob${index}` in parameters; index += 1) {
    const [blob, generation] = [parameters[`blob${index}`], parameters[`generation${index}`]]
    const [from, to] = [Number(parameters[`from${index}`]), Number(parameters[`to${index}`])]
    if (row.blob === blob && row.generation === generation && row.offset >= from && row.offset < to)
      return true
  }
  return false
}

/** Whether the guard of a REPLACE WHERE ends the statement for a row. */
function isCrossing(
  { blob, generation, offset, length }: SimulatedRow,
  { sql, parameters = {} }: Statement,
): boolean {
  for (let index = 0; `blob${index}` in parameters; index += 1) {
    if (blob !== parameters[`blob${index}`] || generation !== parameters[`generation${index}`]) continue
    const [from, to] = [Number(parameters[`from${index}`]), Number(parameters[`to${index}`])]
    const hasStart = sql.includes(`source_offset + source_length > :from${index}`)
    if (
      sql.includes(`source_offset + source_length > :to${index}`) &&
      offset >= from &&
      offset < to &&
      offset + length > to
    )
      return true
    if (hasStart && offset < from && offset + length > from) return true
  }
  return false
}

/** Whether a row is of one of the generations that a statement names; it may name none. */
function isOfGenerations(
  { blob, generation }: SimulatedRow,
  parameters: NonNullable<Statement['parameters']>,
): boolean {
  if (!('blob0' in parameters)) return true
  for (let index = 0; `blob${index}` in parameters; index += 1)
    if (blob === parameters[`blob${index}`] && generation === parameters[`generation${index}`]) return true
  return false
}

function endsOf(rows: readonly SimulatedRow[]): readonly StatementRow[] {
  const ends = new Map<string, StatementRow>()
  for (const { blob, generation, offset, length } of rows) {
    const key = `${blob}@${generation}`
    const end = Math.max(offset + length, Number(ends.get(key)?.landed_to ?? 0))
    ends.set(key, { source_blob: blob, source_generation: generation, landed_to: BigInt(end) })
  }
  return [...ends.values()]
}

function keyOf({ blob, generation, offset, index }: SimulatedRow): string {
  return `${blob}@${generation} ${offset}:${index}`
}
