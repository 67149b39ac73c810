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
  /** Numbers of the rows, counted from 0, that are not part of the table. */
  readonly deleted?: NumberSet | undefined
}

/** What the engine calls a row's file, by its place in the list, and the row's number in it, unless a column does. */
const virtualColumns = ['file_index', 'file_row_number']

/** Masks that one statement brings to the engine, as text of 30 bytes each. */
const masksAtOnce = 10_000

/** Files' rows as relations of an engine, which holds in a table of its own which of them are deleted. */
export class LiveRows {
  readonly #engine: EmbeddedEngine
  readonly #table: string
  /** Files in the table. */
  #fileCount = 0

  /** @param name names the table, which is only known to the engine's connection */
  constructor(engine: EmbeddedEngine, name: string) {
    this.#engine = engine
    this.#table = `temp.main.${sqlIdentifier(name)}`
  }

  /**
   * Makes the rows of some files, at least one, a relation, with every column that one of them has. Files without
   * deleted rows are read as they are.
   *
   * @returns its SQL, which holds until `drop`
   * @throws TABLE_UNSUPPORTED naming a column of which the name is taken
   */
  async relation(sources: readonly RowSource[]): Promise<string> {
    const isMarked = ({ deleted }: RowSource): boolean => deleted !== undefined && deleted.count > 0
    const marked = sources.filter(isMarked)
    const whole = sources.filter((source) => !isMarked(source)).map(({ path }) => path)
    if (marked.length === 0) return parquetSql(whole)
    const rows = await this.#unmarkedRows(marked)
    return whole.length === 0 ? `(${rows})` : `(FROM ${parquetSql(whole)} UNION ALL BY NAME ${rows})`
  }

  /** Takes away what the engine holds for the relations. */
  async drop(): Promise<void> {
    await this.#engine.run(`DROP TABLE IF EXISTS ${this.#table}`)
    this.#fileCount = 0
  }

  /** Each row finds the mask of its 64 rows, if one of those is deleted: a join with far fewer rows than were deleted. */
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

  /** The row numbers would be the column's values. */
  async #checkColumns(relation: string): Promise<void> {
    for (const { column_name } of await this.#engine.rows(`DESCRIBE FROM ${relation}`)) {
      const name = String(column_name)
      if (virtualColumns.includes(name.toLowerCase())) {
        throw new TailraceError(
          'TABLE_UNSUPPORTED',
          `The table has a column ${name}, with which its deletion vectors cannot be applied.`,
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
        if (files.length === masksAtOnce) await insert()
      }
    }
    if (files.length > 0) await insert()
  }
}

/**
 * Makes the rows of some files, at least one, a relation while `use` runs.
 *
 * @param use gets its SQL
 * @throws TABLE_UNSUPPORTED naming a column of which the name is taken
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

/** Files of deletion vectors that are read at a time; each holds the vectors of a few megabytes at most. */
const parallelReads = 8

/**
 * Reads which rows of some files are deleted, each file of deletion vectors once.
 *
 * @returns by the files' paths, those without a deletion vector left out
 * @throws TABLE_CORRUPT when a vector is missing or not what the log says, TABLE_UNSUPPORTED when one lies outside of
 * the table
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
