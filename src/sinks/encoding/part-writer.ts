import { randomUUID } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SerialQueue } from '../../offsets/serial-queue.ts'
import type { Span } from '../../records.ts'
import { collectGarbage } from '../../streams/staging/collect-garbage.ts'
import { rejectedRow, rowPlace } from '../../streams/staging/spool.ts'
import type { ProjectionOptions, TableDeclaration } from '../../tables/table.ts'
import { type EmbeddedEngine, type EngineSettings, sqlString, type WrittenFile } from './engine.ts'
import { isCausedByRows, isOutOfMemory } from './engine-errors.ts'
import type { KeptPlan } from './kept-plan.ts'
import { spoolProjectionSql } from './projection.ts'
import {
  beginsWithin,
  cutIntoPieces,
  divideByLength,
  fitsWhole,
  halved,
  type SpoolPiece,
  type WholeSpool,
} from './spool-pieces.ts'
import {
  anyFormSettings,
  carefulSettings,
  ordinarySettings,
  parquetOptions,
  projectionBuffers,
} from './statement-settings.ts'

/** Mean row length from which the vectors of two threads would take 400 MB. Measured with records inside of records. */
const maxTwoThreadRowBytes = 700

/** Rows that one thread projects in less time than two take to prepare their vectors. */
const maxOneThreadRows = 2_048

/** Rows that one thread projects by the kept plan in less time than two take with a plan of their own. */
const maxKeptPlanRows = 16_384

/** Text that the kept plan's table may hold twice within the engine's memory. */
const maxKeptPlanBytes = 8 * 1024 * 1024

/** Bytes of pieces that one statement encodes: the memory that the allocator keeps until its end grows with them. */
const maxGroupBytes = 8 * 1024 * 1024

/** Rows up to this length are projected by one statement; of longer ones, each step of the projection is a statement. */
const maxUndividedRowBytes = 4 * 1024 * 1024

/** Failed statements per batch after which a failing piece is rejected as a whole, so that dividing does not take hours. */
const maxFailures = 500

/** The place of a row that the engine could not encode and that was landed as a rejected row. */
export interface UnencodableRow {
  readonly blob: string
  readonly generation: string
  readonly offset: number
}

/** The files written for a spool. */
export interface WrittenParts {
  /** Files of the rows encoded together, at most two. */
  readonly together: readonly WrittenFile[]
  /** Files of the rows encoded in pieces, any number. */
  readonly careful: readonly WrittenFile[]
  /** Whether texts were checked to be JSON before they were parsed. */
  readonly checksTexts: boolean
  /** Files with a row over 4 MiB, of at least that length together with its neighbors. */
  readonly long: readonly WrittenFile[]
}

export interface PartWriterOptions {
  readonly engine: EmbeddedEngine
  readonly declaration: TableDeclaration
  readonly keptPlan: KeptPlan
  readonly spans: readonly Span[]
  /** The batch's directory, for files and for pieces of the spool. */
  readonly directory: string
  /** SQL after `SELECT *` that excludes columns; may be empty. */
  readonly leftOut: string
  readonly ingestMs: number
  readonly signal: AbortSignal | undefined
  /** Rows over 4 MiB are encoded while no other stage works on a long text. */
  readonly longTexts: SerialQueue
  /** Whether texts that are not JSON are expected, so that checking each text is cheaper than a failed statement. */
  readonly checksTexts: boolean
  readonly onUnencodable: (row: UnencodableRow, error: Error) => void
}

/**
 * Writes all rows of a spool to Parquet files.
 *
 * Ordinary rows are encoded by one or two statements, long rows in pieces of bounded size. If a statement fails because
 * of its rows, they are divided until the failing rows are alone; those are written as rejected rows.
 */
export class PartWriter {
  readonly #options: PartWriterOptions
  #failures = 0
  #checksTexts: boolean

  constructor(options: PartWriterOptions) {
    this.#options = options
    this.#checksTexts = options.checksTexts
  }

  /**
   * @returns files that together hold every row of the spool once
   * @throws the engine's error if it is not caused by a row
   */
  async write(spool: WholeSpool): Promise<WrittenParts> {
    const { directory } = this.#options
    const { ordinary, long } = fitsWhole(spool)
      ? { ordinary: spool, long: [] }
      : await divideByLength(spool, directory)
    const pieces = [...long]
    let together: readonly WrittenFile[] = []
    if (ordinary !== undefined) {
      try {
        together = await this.#writeOrdinary(ordinary)
      } catch (error) {
        if (!isCausedByRows(error)) throw error
        pieces.push(...(await cutIntoPieces(ordinary, directory)))
      }
    }
    const careful: WrittenFile[] = []
    const longest: WrittenFile[] = []
    for (const group of groupsOf(pieces)) {
      if (isLong(group)) longest.push(...(await this.#options.longTexts.run(() => this.#writeAlone(group))))
      else careful.push(...(await this.#writeCarefully(group)))
    }
    return { together, careful, long: longest, checksTexts: this.#checksTexts }
  }

  /**
   * Writes usual rows with the short projection. The full one reads the spool again, for the rows that the first file
   * lacks.
   */
  async #writeOrdinary(piece: SpoolPiece): Promise<readonly WrittenFile[]> {
    const usual = (await this.#mayBeUsual(piece)) ? await this.#writeUsual(piece) : undefined
    if (usual?.rows === piece.rows) return [usual]
    const written: WrittenFile[] = usual === undefined ? [] : [usual]
    try {
      const others = await this.#writeAnyForm(piece, usual)
      if (others !== undefined) written.push(others)
      if (written.reduce((sum, { rows }) => sum + rows, 0) === piece.rows) return written
    } catch (error) {
      await removeAll(written)
      throw error
    }
    // Two rows share a place, and only one of them is usual.
    await removeAll(written)
    const all = await this.#writeAnyForm(piece, undefined)
    return all === undefined ? [] : [all]
  }

  /** Writes the rows that a file lacks, on two threads only where they are likely to fit into memory. */
  async #writeAnyForm(piece: SpoolPiece, usual: WrittenFile | undefined): Promise<WrittenFile | undefined> {
    const rows = { written: usual?.path }
    const rowCount = piece.rows - (usual?.rows ?? 0)
    const meanBytes = piece.bytes / piece.rows
    if (rowCount <= maxKeptPlanRows && rowCount * meanBytes <= maxKeptPlanBytes) {
      try {
        return await this.#writeByKeptPlan(piece, usual)
      } catch {
        // A statement for this batch alone decides whether its rows are at fault.
        this.#options.signal?.throwIfAborted()
      }
    }
    if (rowCount > maxOneThreadRows && meanBytes <= maxTwoThreadRowBytes) {
      try {
        return await this.#writePart([piece], anyFormSettings(2), rows)
      } catch (error) {
        if (!isOutOfMemory(error)) throw error
      }
    }
    return this.#writePart([piece], anyFormSettings(1), rows)
  }

  #writeByKeptPlan(piece: SpoolPiece, usual: WrittenFile | undefined): Promise<WrittenFile | undefined> {
    const { keptPlan, spans, directory, ingestMs, signal } = this.#options
    return keptPlan.write({
      source: { pieces: [piece], spans, written: usual?.path },
      ingestMs,
      path: newPartPath(directory),
      settings: anyFormSettings(1),
      signal,
    })
  }

  /** Of most servers, all records have the usual form or none has, and the search for none takes a statement, too. */
  async #mayBeUsual(piece: SpoolPiece): Promise<boolean> {
    const { usualBeginning } = this.#options.declaration.projection
    return usualBeginning !== undefined && beginsWithin(piece, usualBeginning)
  }

  async #writeUsual(piece: SpoolPiece): Promise<WrittenFile | undefined> {
    if (!this.#checksTexts) {
      try {
        return await this.#writePart([piece], ordinarySettings, { usual: 'unchecked' })
      } catch (error) {
        if (!isCausedByRows(error) || isOutOfMemory(error)) throw error
        this.#checksTexts = true
      }
    }
    return this.#writePart([piece], ordinarySettings, { usual: 'checked' })
  }

  async #writeAlone(group: readonly SpoolPiece[]): Promise<readonly WrittenFile[]> {
    // Other stages may have left garbage of other long texts.
    await this.#returnMemory()
    return this.#writeCarefully(group)
  }

  async #writeCarefully(pieces: readonly SpoolPiece[]): Promise<readonly WrittenFile[]> {
    try {
      return await this.#writeGroup(pieces)
    } catch (error) {
      if (!isCausedByRows(error)) throw error
      this.#failures += 1
      const [first, ...others] = pieces
      if (first === undefined) throw error
      if (others.length === 0 && (first.rows === 1 || this.#failures > maxFailures)) {
        return [await this.#reject(first, error)]
      }
      const middle = Math.ceil(pieces.length / 2)
      const halves =
        others.length === 0
          ? (await halved(first)).map((half) => [half])
          : [pieces.slice(0, middle), pieces.slice(middle)]
      const files: WrittenFile[] = []
      for (const half of halves) files.push(...(await this.#writeCarefully(half)))
      return files
    }
  }

  /** Writes the rows of a piece as rejected ones, with their text or, if that fails too, the beginning of it. */
  async #reject(piece: SpoolPiece, cause: Error): Promise<WrittenFile> {
    const { spans, onUnencodable } = this.#options
    const rows = (await readFile(piece.path, 'latin1')).split('\n').slice(0, -1)
    for (const row of rows) {
      const { spanIndex, offset } = rowPlace(row)
      const { blob, generation } = spans[spanIndex] as Span
      onUnencodable({ blob, generation, offset }, cause)
    }
    const note = messageOf(cause)
    for (const kept of ['whole', 'beginning'] as const) {
      const text = rows.map((row) => rejectedRow(row, note, kept)).join('')
      const path = `${piece.path}.${kept}`
      await writeFile(path, text, 'latin1')
      const longestRowBytes = kept === 'whole' ? piece.longestRowBytes + note.length + 64 : text.length
      try {
        const [file] = await this.#writeGroup([{ ...piece, path, bytes: text.length, longestRowBytes }])
        if (file !== undefined) return file
      } catch (error) {
        if (!isCausedByRows(error) || kept === 'beginning') throw error
      }
    }
    throw cause
  }

  async #writeGroup(pieces: readonly SpoolPiece[]): Promise<readonly WrittenFile[]> {
    const longestRowBytes = Math.max(...pieces.map((piece) => piece.longestRowBytes))
    const file = await this.#writePart(pieces, carefulSettings(longestRowBytes, projectionBuffers))
    await this.#returnMemory()
    return file === undefined ? [] : [file]
  }

  async #writePart(
    pieces: readonly SpoolPiece[],
    settings: EngineSettings,
    rows: { readonly usual?: ProjectionOptions['usual']; readonly written?: string | undefined } = {},
  ): Promise<WrittenFile | undefined> {
    const { engine, declaration, spans, directory, leftOut, ingestMs, signal } = this.#options
    const steps: string[] = []
    const store = (sql: string): string => `step_${steps.push(sql)}`
    const select = spoolProjectionSql(declaration, { pieces, spans, written: rows.written }, ingestMs, {
      usual: rows.usual,
      store: isLong(pieces) ? store : undefined,
    })
    const path = newPartPath(directory)
    try {
      for (const [index, step] of steps.entries()) {
        await engine.withSettings(settings, () =>
          engine.run(`CREATE TEMP TABLE step_${index + 1} AS ${step}`, signal),
        )
        if (index > 0) await engine.run(`DROP TABLE step_${index}`)
        await this.#returnMemory()
      }
      const [file] = await engine.withSettings(settings, () =>
        engine.copy(
          `COPY (SELECT *${leftOut} FROM (${select})) TO ${sqlString(path)} (${parquetOptions})`,
          signal,
        ),
      )
      if (file !== undefined && file.rows > 0) return file
    } catch (error) {
      await rm(path, { force: true })
      throw error
    } finally {
      for (const index of steps.keys()) await engine.run(`DROP TABLE IF EXISTS step_${index + 1}`)
    }
    await rm(path, { force: true })
    return undefined
  }

  async #returnMemory(): Promise<void> {
    // The engine frees some memory of a statement only when the object of its result is collected.
    collectGarbage()
    await this.#options.engine.returnMemory()
  }
}

function isLong(pieces: readonly SpoolPiece[]): boolean {
  return pieces.some(({ longestRowBytes }) => longestRowBytes > maxUndividedRowBytes)
}

/** @returns a path of no other file, with the name that Delta's writers give to a data file */
export function newPartPath(directory: string): string {
  return join(directory, `part-00000-${randomUUID()}.zstd.parquet`)
}

async function removeAll(files: readonly WrittenFile[]): Promise<void> {
  for (const { path } of files) await rm(path)
}

function* groupsOf(pieces: readonly SpoolPiece[]): Generator<readonly SpoolPiece[]> {
  let group: SpoolPiece[] = []
  let bytes = 0
  for (const piece of pieces) {
    if (group.length > 0 && bytes + piece.bytes > maxGroupBytes) {
      yield group
      group = []
      bytes = 0
    }
    group.push(piece)
    bytes += piece.bytes
  }
  if (group.length > 0) yield group
}

/** The first line of an engine's message. It may quote the row, but it is only stored with the row's own text. */
function messageOf(error: Error): string {
  return (error.message.split('\n', 1)[0] ?? '').slice(0, 200)
}
