import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type ArchivedOffset, maxSoughtBlobs, newerOf } from '../../../offsets/archived-offsets.ts'
import { withStateErrors } from '../../../offsets/state-files.ts'
import { generationKey, generationParts } from '../../../records.ts'
import { withDataFiles } from '../../encoding/data-file-errors.ts'
import { type EmbeddedEngine, filePathSql, parquetSql, sqlString } from '../../encoding/engine.ts'
import { engineError } from '../../encoding/engine-errors.ts'
import type { DeltaStorage, LocalFile } from '../storage/delta-storage.ts'
import type { ArchiveFiles } from './archive-files.ts'
import { type ArchiveFile, archiveFolder } from './archive-manifest.ts'

/**
 * The engine skips row groups by their bounds. With small groups it decodes fewer rows for a blob, but reads more bounds.
 * Measured CPU time to look offsets up among a million: 21 ms with row groups of 2,048 rows, 8 ms with 16,384, and 19 ms with
 * 65,536.
 */
const rowGroupRows = 16_384

/**
 * Offsets that are read as lines and sorted at a time: 250,000 of them just fit into the 160 MiB of maintenance. Rows of
 * Parquet are sorted with any number.
 */
const maxSorted = 50_000

/** The engine reserves twice as much. A blob's name has 1,024 characters at most. */
const maxLineBytes = 64 * 1024

const columns = {
  blob: 'VARCHAR',
  generation: 'VARCHAR',
  landed_to: 'BIGINT',
  created_at: 'VARCHAR',
  head: 'VARCHAR',
  tail: 'VARCHAR',
  closing: 'BIGINT',
} as const

const columnNames = Object.keys(columns).join(', ')

export interface ParquetArchiveFilesOptions {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** Where files are written before they move into the table. Must exist. */
  readonly stagingDirectory: string
  /** Aborts writing. */
  readonly signal?: AbortSignal | undefined
}

/** Archive files as Parquet, with one row for each offset, sorted by blob. */
export class ParquetArchiveFiles implements ArchiveFiles {
  readonly #options: ParquetArchiveFilesOptions
  /** Files in use by their names: copies, when the table is in Azure. */
  readonly #local = new Map<string, Promise<LocalFile>>()

  constructor(options: ParquetArchiveFilesOptions) {
    this.#options = options
  }

  async write(offsets: Iterable<ArchivedOffset>): Promise<readonly ArchiveFile[]> {
    const files: ArchiveFile[] = []
    let part: ArchivedOffset[] = []
    for (const one of offsets) {
      part.push(one)
      if (part.length < maxSorted) continue
      files.push(await this.#writePart(part))
      part = []
    }
    if (part.length > 0) files.push(await this.#writePart(part))
    return files
  }

  async merge(files: readonly ArchiveFile[]): Promise<ArchiveFile> {
    return this.#store(`SELECT ${columnNames} FROM ${await this.#rowsOf(files)}`)
  }

  async find(files: readonly ArchiveFile[], blobs: readonly string[]): Promise<readonly ArchivedOffset[]> {
    const found: ArchivedOffset[] = []
    const rowsOf = await this.#rowsOf(files)
    for (let from = 0; from < blobs.length; from += maxSoughtBlobs) {
      const wanted = blobs.slice(from, from + maxSoughtBlobs).map(sqlString)
      // The engine skips row groups by these bounds, and not by a list of names.
      const rows = await withDataFiles(() =>
        this.#options.engine.rows(
          `SELECT ${columnNames} FROM ${rowsOf}
          WHERE blob IN (${wanted.join(', ')}) AND blob >= ${wanted[0]} AND blob <= ${wanted.at(-1)}`,
        ),
      )
      for (const row of rows) found.push(offsetOf(Object.values(row)))
      // The row groups of names that lie far apart are decoded by all threads, and the allocator would keep their memory.
      await this.#options.engine.returnMemory()
    }
    return found
  }

  /** Groups by hashes first: a group for each name of millions would take some GB. */
  async replaced(files: readonly ArchiveFile[]): Promise<readonly string[]> {
    const rowsOf = await this.#rowsOf(files)
    const groupedBy = (key: string): string => `GROUP BY ${key} HAVING min(generation) <> max(generation)`
    const rows = await withDataFiles(() =>
      this.#options.engine.rows(
        `SELECT blob FROM ${rowsOf}
        WHERE hash(blob) IN (SELECT hash(blob) FROM ${rowsOf} ${groupedBy('hash(blob)')}) ${groupedBy('blob')}`,
      ),
    )
    return rows.map(({ blob }) => String(blob))
  }

  async each(
    files: readonly ArchiveFile[],
    take: (offsets: readonly ArchivedOffset[]) => Promise<boolean>,
  ): Promise<void> {
    const sql = `SELECT ${columnNames} FROM ${await this.#rowsOf(files)} ORDER BY blob, generation, landed_to`
    let last: ArchivedOffset | undefined
    let isWanted = true
    await this.#stream(sql, async (rows) => {
      const newest: ArchivedOffset[] = []
      for (const row of rows) {
        const next = offsetOf(row)
        const isSame = last !== undefined && generationKey(last) === generationKey(next)
        if (last !== undefined && !isSame) newest.push(last)
        last = last !== undefined && isSame ? newerOf(last, next) : next
      }
      isWanted = newest.length === 0 || (await take(newest))
      return isWanted
    })
    if (last !== undefined && isWanted) await take([last])
  }

  async eachBlob(file: ArchiveFile, take: (blobs: readonly string[]) => Promise<boolean>): Promise<void> {
    const { path } = await this.#open(file)
    await this.#stream(`SELECT blob FROM ${parquetSql([path])}`, (rows) =>
      take(rows.map(([blob]) => String(blob))),
    )
  }

  /** Uses a separate connection, because streaming a result needs a transaction. */
  async #stream(
    sql: string,
    take: (rows: readonly (readonly unknown[])[]) => Promise<boolean>,
  ): Promise<void> {
    const connection = await this.#options.engine.connect()
    try {
      await withDataFiles(() => connection.rolledBack(() => connection.stream(sql, ({ rows }) => take(rows))))
    } finally {
      await connection.close()
    }
  }

  async keepOnly(files: readonly ArchiveFile[]): Promise<void> {
    const kept = new Set(files.map(({ name }) => name))
    for (const [name, opening] of this.#local) {
      if (kept.has(name)) continue
      this.#local.delete(name)
      await (await opening).release()
    }
  }

  async #rowsOf(files: readonly ArchiveFile[]): Promise<string> {
    const paths: string[] = []
    for (const file of files) paths.push((await this.#open(file)).path)
    return parquetSql(paths)
  }

  async #writePart(offsets: readonly ArchivedOffset[]): Promise<ArchiveFile> {
    const staged = join(this.#options.stagingDirectory, `archive-${randomUUID()}.jsonl`)
    try {
      await withStateErrors(staged, () =>
        pipeline(Readable.from(linesOf(offsets)), createWriteStream(staged)),
      )
      const types = Object.entries(columns).map(([name, type]) => `${name}: '${type}'`)
      return await this.#store(
        `SELECT ${columnNames} FROM read_json(${filePathSql(staged)}, format = 'newline_delimited', maximum_object_size = ${maxLineBytes}, columns = {${types.join(', ')}})`,
      )
    } finally {
      await rm(staged, { force: true })
    }
  }

  async #store(rows: string): Promise<ArchiveFile> {
    const { storage, stagingDirectory } = this.#options
    const name = `offsets-${randomUUID()}.parquet`
    const staged = join(stagingDirectory, name)
    try {
      const { written, facts } = await this.#copy(rows, staged)
      await storage.putFile(staged, `${archiveFolder}/${name}`)
      return {
        name,
        offsets: written.rows,
        bytes: written.bytes,
        firstBlob: String(facts?.first),
        lastBlob: String(facts?.last),
        lastInstant: String(facts?.instant),
      }
    } finally {
      await rm(staged, { force: true })
    }
  }

  /** @throws DISK_FULL, ENCODE_FAILED, and TABLE_CORRUPT naming a file of `rows` that is missing or damaged */
  async #copy(rows: string, staged: string) {
    const { engine, signal } = this.#options
    try {
      const [written] = await engine.copy(
        `COPY (${rows} ORDER BY blob, generation, landed_to) TO ${sqlString(staged)}
        (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows}, RETURN_STATS)`,
        signal,
      )
      const [facts] = await engine.rows(
        `SELECT min(blob) AS first, max(blob) AS last, max(split_part(generation, '.', 1)) AS instant
        FROM ${parquetSql([staged])}`,
      )
      return { written: written!, facts }
    } catch (error) {
      throw engineError(error, 'a file of the offset archive', {})
    }
  }

  #open({ name }: ArchiveFile): Promise<LocalFile> {
    const opening = this.#openFrom(name, this.#local.get(name))
    this.#local.set(name, opening)
    opening.catch(() => {
      if (this.#local.get(name) === opening) this.#local.delete(name)
    })
    return opening
  }

  /** Another process with this staging directory takes a copy that has not been read for long for a leftover. */
  async #openFrom(name: string, earlier: Promise<LocalFile> | undefined): Promise<LocalFile> {
    const known = await earlier?.catch(() => undefined)
    if (known !== undefined && (await known.keep?.()) !== false) return known
    await known?.release()
    return this.#options.storage.localFile(`${archiveFolder}/${name}`)
  }
}

function* linesOf(offsets: Iterable<ArchivedOffset>): Iterable<string> {
  for (const { blob, generation, offset, mark } of offsets) {
    const createdAt = mark?.createdAt === generationParts(generation)[0] ? undefined : mark?.createdAt
    const { head, tail, closing } = mark ?? {}
    yield `${JSON.stringify({ blob, generation, landed_to: offset, created_at: createdAt, head, tail, closing })}\n`
  }
}

/** @param row the values in the order of `columns` */
function offsetOf(row: readonly unknown[]): ArchivedOffset {
  const [blob, generation, offset, createdAt, head, tail, closing] = row.map((value) => value ?? undefined)
  const source = { blob: String(blob), generation: String(generation) }
  const isMarked = createdAt !== undefined || head !== undefined || tail !== undefined
  return {
    ...source,
    offset: Number(offset),
    mark: isMarked
      ? {
          ...source,
          createdAt: createdAt === undefined ? generationParts(source.generation)[0] : String(createdAt),
          head: head as string | undefined,
          tail: tail as string | undefined,
          closing: closing === undefined ? undefined : Number(closing),
        }
      : undefined,
  }
}
