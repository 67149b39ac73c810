import { randomUUID } from 'node:crypto'
import { TailraceError } from '../../../errors.ts'
import { type EmbeddedEngine, parquetSql, sqlIdentifier } from '../../encoding/engine.ts'
import {
  decodeDeletionVector,
  deletionVectorPath,
  missingDeletionVector,
} from '../protocol/deletion-vector.ts'
import type { NumberSet } from '../protocol/roaring-bitmap.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import type { LiveFile } from './live-files.ts'

/** A Parquet file on this machine. */
export interface RowSource {
  readonly path: string
  /** 0-based numbers of the deleted rows. */
  readonly deleted?: NumberSet | undefined
}

/**
 * The engine's names for a row's file, as an index in the list, and the row's number in that file. A real column of the
 * same name would hide them.
 */
const virtualColumns = ['file_index', 'file_row_number']

/** Masks that one INSERT sends to the engine, as text of about 30 bytes each. */
const maxMasksPerInsert = 10_000

/** Makes live rows of data files available as SQL relations. The deleted rows are kept in a temporary table. */
export class LiveRows {
  readonly #engine: EmbeddedEngine
  readonly #table: string
  /** Number of files with masks in the temporary table. */
  #fileCount = 0

  /** @param name the temporary table's name; unique in the engine's connection */
  constructor(engine: EmbeddedEngine, name: string) {
    this.#engine = engine
    this.#table = `temp.main.${sqlIdentifier(name)}`
  }

  /**
   * Makes a relation of the live rows of at least one file, with every column that any of them has.
   *
   * @returns SQL of the relation, valid until `drop`
   * @throws TABLE_UNSUPPORTED when a file with deleted rows has a column named like one of the engine's virtual columns
   */
  async relation(sources: readonly RowSource[]): Promise<string> {
    const isMarked = ({ deleted }: RowSource): boolean => deleted !== undefined && deleted.count > 0
    const marked = sources.filter(isMarked)
    const whole = sources.filter((source) => !isMarked(source)).map(({ path }) => path)
    if (marked.length === 0) return parquetSql(whole)
    const rows = await this.#unmarkedRows(marked)
    return whole.length === 0 ? `(${rows})` : `(FROM ${parquetSql(whole)} UNION ALL BY NAME ${rows})`
  }

  /** Drops the temporary table; relations with deleted rows are invalid from then on. */
  async drop(): Promise<void> {
    await this.#engine.run(`DROP TABLE IF EXISTS ${this.#table}`)
    this.#fileCount = 0
  }

  /** Joins each row with the mask of its group of 64 rows: far fewer join rows than one per deleted row. */
  async #unmarkedRows(marked: readonly RowSource[]): Promise<string> {
    const numbered = parquetSql(marked.map(({ path }) => path))
    await this.#checkColumns(numbered)
    const first = this.#fileCount
    this.#fileCount += marked.length
    await this.#addMasks(marked, first)
    return `SELECT rows.* FROM ${numbered} AS rows LEFT JOIN ${this.#table} AS deleted
      ON deleted.file = rows.file_index + ${first} AND deleted.word = rows.file_row_number // 64
      WHERE deleted.mask IS NULL OR (deleted.mask >> (rows.file_row_number % 64)::UBIGINT) & 1 = 0`
  }

  /** Without this check, the values of such a column would be used as row numbers. */
  async #checkColumns(relation: string): Promise<void> {
    for (const { column_name } of await this.#engine.rows(`DESCRIBE FROM ${relation}`)) {
      const name = String(column_name)
      if (virtualColumns.includes(name.toLowerCase())) {
        throw new TailraceError(
          'TABLE_UNSUPPORTED',
          `Deletion vectors cannot be applied: the table has a column ${name}, a name that the engine reserves.`,
        )
      }
    }
  }

  async #addMasks(marked: readonly RowSource[], first: number): Promise<void> {
    if (first === 0) {
      await this.#engine.run(`CREATE TEMP TABLE ${this.#table} (file UBIGINT, word BIGINT, mask UBIGINT)`)
    }
    let files: number[] = []
    let words: number[] = []
    let masks: bigint[] = []
    const insert = async (): Promise<void> => {
      await this.#engine.run(`INSERT INTO ${this.#table} SELECT unnest('[${files}]'::UBIGINT[]),
        unnest('[${words}]'::BIGINT[]), unnest('[${masks}]'::UBIGINT[])`)
      files = []
      words = []
      masks = []
    }
    for (const [index, { deleted }] of marked.entries()) {
      for (const [place, word] of deleted!.words.entries()) {
        files.push(first + index)
        words.push(word)
        masks.push(deleted!.masks[place]!)
        if (files.length === maxMasksPerInsert) await insert()
      }
    }
    if (files.length > 0) await insert()
  }
}

/**
 * Makes a relation of the live rows of at least one file while `use` runs.
 *
 * @param use called with the relation's SQL
 * @throws TABLE_UNSUPPORTED as `LiveRows.relation`
 */
export async function withLiveRows<Result>(
  engine: EmbeddedEngine,
  sources: readonly RowSource[],
  use: (relation: string) => Promise<Result>,
): Promise<Result> {
  const rows = new LiveRows(engine, `deleted rows ${randomUUID()}`)
  try {
    return await use(await rows.relation(sources))
  } finally {
    await rows.drop()
  }
}

/** Concurrent reads of deletion vector files, each a few megabytes at most. */
const parallelReads = 8

/**
 * Reads the deleted rows of data files. Each deletion vector file is read once, also when it serves several data files.
 *
 * @returns deleted rows by data file path, without files that have no deletion vector
 * @throws TABLE_CORRUPT when a vector is missing or damaged, TABLE_UNSUPPORTED when one is outside of the table
 */
export async function readDeletedRows(
  storage: Pick<DeltaStorage, 'location' | 'read'>,
  files: readonly Pick<LiveFile, 'path' | 'deletionVector'>[],
): Promise<ReadonlyMap<string, NumberSet>> {
  const deleted = new Map<string, NumberSet>()
  const stored = new Map<string, (typeof files)[number][]>()
  for (const file of files) {
    if (file.deletionVector === undefined) continue
    const path = deletionVectorPath(file.deletionVector, storage.location)
    if (path === undefined) deleted.set(file.path, decodeDeletionVector(file.deletionVector, undefined))
    else {
      const some = stored.get(path) ?? []
      stored.set(path, some)
      some.push(file)
    }
  }
  const waiting = [...stored]
  while (waiting.length > 0) {
    await Promise.all(
      waiting.splice(0, parallelReads).map(async ([path, some]) => {
        const bytes = await storage.read(path)
        for (const { path: marked, deletionVector } of some) {
          if (bytes === undefined) throw missingDeletionVector(deletionVector!, path)
          deleted.set(marked, decodeDeletionVector(deletionVector!, bytes))
        }
      }),
    )
  }
  return deleted
}
