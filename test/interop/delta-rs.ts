import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What is asked of delta-rs. */
export interface DeltaRsRequest {
  readonly table: string
  /** Where all rows are written as Parquet. */
  readonly rows?: string
  readonly applications?: readonly string[]
  /** Column, operator and plain literal. */
  readonly filters?: readonly (readonly [string, string, string])[]
}

/** What delta-rs sees. */
export interface DeltaRsAnswer {
  readonly version: number
  readonly protocol: readonly [number, number]
  readonly columns: Readonly<Record<string, string>>
  readonly comments: Readonly<Record<string, string>>
  readonly files: number
  readonly offsets: Readonly<Record<string, number>>
  readonly filters: readonly {
    readonly files: number
    readonly rows: number
    readonly queried_rows: number
  }[]
}

const run = promisify(execFile)

/** A Python interpreter that has the packages `deltalake` and `pyarrow`. */
const python = process.env.TAILRACE_INTEROP_PYTHON

/** Why delta-rs cannot be asked here, or false: made to be a test's `skip`. */
export async function deltaRsMissing(): Promise<string | false> {
  if (!python) return 'TAILRACE_INTEROP_PYTHON names no interpreter'
  try {
    await run(python, ['-c', 'import deltalake, pyarrow'])
    return false
  } catch {
    return `${python} has no deltalake and pyarrow`
  }
}

/** Opens a table with delta-rs, an implementation of Delta that shares nothing with this one. */
export async function askDeltaRs(request: DeltaRsRequest): Promise<DeltaRsAnswer> {
  const script = join(import.meta.dirname, 'read_table.py')
  const { stdout } = await run(python!, [script, JSON.stringify(request)], { maxBuffer: 64 * 1024 * 1024 })
  return JSON.parse(stdout) as DeltaRsAnswer
}

/** Lets delta-rs write all rows of each table as Parquet, in one process. */
export async function copyRowsByDeltaRs(
  tables: readonly { readonly table: string; readonly rows: string }[],
): Promise<void> {
  await run(python!, [join(import.meta.dirname, 'copy_rows.py'), JSON.stringify(tables)])
}

/** A change that delta-rs makes: one appended row, a compaction of small files, a checkpoint, or a row with a new column. */
export type DeltaRsStep = 'append' | 'compact' | 'checkpoint' | 'add-column'

/** Lets delta-rs change a table, step by step. */
export async function changeByDeltaRs(table: string, ...steps: readonly DeltaRsStep[]): Promise<void> {
  await run(python!, [join(import.meta.dirname, 'change_table.py'), table, ...steps])
}

/** Lets delta-rs create a partitioned table with a checkpoint from another table's rows. */
export async function createByDeltaRs(source: string, target: string): Promise<void> {
  await run(python!, [join(import.meta.dirname, 'create_table.py'), source, target])
}
