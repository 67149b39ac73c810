import { randomUUID } from 'node:crypto'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { LoadIntent } from '../../../offsets/load-intent.ts'
import { type BlobGeneration, type GenerationMark, generationKey, type Span } from '../../../records.ts'
import { qualifiedName, quoteName } from '../../../tables/spark-sql.ts'
import type { TableDeclaration } from '../../../tables/table.ts'
import { CommitFencedError } from '../../commit-fence.ts'
import type { WrittenFile } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import type { BatchFiles, StagedBatch } from '../staging/batch-files.ts'
import type { StagedFiles } from '../staging/staged-files.ts'
import { mayBeExecuted } from '../warehouse/driver-error.ts'
import type { Statement, Warehouse } from '../warehouse/warehouse.ts'
import { maxFilesPerStatement, selectFilesSql } from './copy-into.ts'
import {
  crossingRanges,
  type IngestTimes,
  ingestTimes,
  maxRangesPerStatement,
  newerRows,
  type RangeRows,
  withinRanges,
} from './range-rows.ts'
import type { RecordIntent, RowLoader, Settlement, StoredUnits, UnitGroup, UnitLoader } from './row-loader.ts'
import { withStagedFiles } from './staged-attempts.ts'

export interface ReplaceWhereLoaderOptions {
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  readonly rows: RangeRows
  readonly files: BatchFiles
  readonly stagedFiles: StagedFiles
  readonly unitFiles: StoredUnits
  /** How a generation is recognized, which shows whether it is a document that may have grown. */
  readonly markOf: (source: BlobGeneration) => GenerationMark | undefined
  /** Creates the table or checks its schema. @returns its columns in their order */
  readonly ensureTable: () => Promise<readonly string[]>
  /** Waits until no COPY INTO of an earlier process can still run, which would add rows that are read again. */
  readonly outwaitLoads: () => Promise<void>
  readonly nowMs: () => number
}

/** Attempts of a batch whose staged file was removed, or whose table got a column meanwhile. */
const maxAttempts = 3

/**
 * Loads batches by replacing the rows of their ranges. A statement that is executed twice, late, or by two processes
 * leaves the same rows, even if the state directory was lost. So the next start in this mode repeats an unfinished batch
 * and does not read the table's rows first.
 * The intent is for other modes: they would land rows again that a row filter hides by then.
 *
 * A document that grows is different: its rows have the place of the part that they were landed in, and two processes, or a
 * late statement and the next process, may divide it differently. So a statement raises an error where it would leave a
 * part of what a row stands for, or add it again.
 *
 * https://docs.databricks.com/sql/language-manual/sql-ref-syntax-dml-insert-into (read 2026-11-29)
 */
export class ReplaceWhereLoader implements RowLoader {
  readonly units: UnitLoader
  readonly #options: ReplaceWhereLoaderOptions
  #columns: readonly string[] = []
  /** Whether the last statement of a batch may have been executed, although it failed. */
  #isInDoubt = false

  constructor(options: ReplaceWhereLoaderOptions) {
    this.#options = options
    this.units = {
      files: options.unitFiles,
      limits: {
        maxFiles: maxFilesPerStatement,
        maxRanges: maxRangesPerStatement,
        isOneStatement: false,
      },
      add: (group, recordIntent) => this.#addUnits(group, recordIntent),
    }
  }

  async open(): Promise<void> {
    this.#columns = await this.#options.ensureTable()
    this.#isInDoubt = false
  }

  async settle(): Promise<Settlement> {
    return 'not-begun'
  }

  async add(
    { spans, encoded }: { readonly spans: readonly Span[]; readonly encoded: EncodedBatch },
    _begun: LoadIntent | undefined,
    recordIntent: RecordIntent,
  ): Promise<void> {
    // A row filter that somebody has set meanwhile would hide the rows, and they would be added again.
    if (this.#isInDoubt) await this.open()
    await recordIntent(intentOf(spans))
    const added = await this.#unlessCrossed(spans, () =>
      this.#replaced(spans, encoded, { repeatable: false, guard: 'crossing' }),
    )
    if (added !== encoded.rows) await this.#options.rows.require(spans, encoded.rows)
  }

  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<number> {
    const { rows, nowMs } = this.#options
    const files = encoded.flatMap((batch) => batch.files)
    const times = ingestTimes(files, nowMs())
    if (files.length > 0) return this.#exchange(span, files, times)
    const removed = await rows.count([span])
    await rows.remove(span, times)
    return removed
  }

  /**
   * @returns the number of rows before
   * @throws COMMIT_CONTENDED when another replay has been executed meanwhile
   */
  async #exchange(span: Span, files: readonly WrittenFile[], times: IngestTimes): Promise<number> {
    const { rows } = this.#options
    // Rows that are encoded later than these are of another replay, which a late statement must leave.
    const { newest } = await rows.before(span, times)
    const known = { newest, ...times }
    const removed = await rows.count([span])
    try {
      await this.#replaced([span], { files }, { repeatable: true, guard: { known } })
    } catch (error) {
      if (!isRaised(error)) throw error
      throw new TailraceError(
        'COMMIT_CONTENDED',
        `Another replay has replaced rows of ${span.blob} meanwhile; this one has changed nothing.`,
        { cause: error },
      )
    }
    return removed
  }

  async #addUnits({ spans, files, rows }: UnitGroup, recordIntent: RecordIntent): Promise<void> {
    await recordIntent(intentOf(spans))
    const batch = { id: randomUUID(), paths: files.map(({ name }) => this.#options.files.pathOf(name)) }
    const sent: SentReplacement = { repeatable: true, guard: 'crossing' }
    const added = await this.#unlessCrossed(spans, () =>
      this.#inParts(spans, batch, sent).catch(async (error: unknown) => {
        if (!(await this.#mend(error))) throw error
        return this.#inParts(spans, batch, sent)
      }),
    )
    if (added !== rows) await this.#options.rows.require(spans, rows)
  }

  async landedOf(sources: readonly BlobGeneration[]): Promise<readonly LandedOffset[]> {
    return this.#options.rows.endsOf(sources)
  }

  async landedByRows(): Promise<readonly LandedOffset[]> {
    await this.#options.outwaitLoads()
    return this.#options.rows.ends()
  }

  async tidy(): Promise<void> {
    this.#options.files.forget()
    await this.#options.stagedFiles.removeExpired()
  }

  async reclaim(): Promise<void> {
    await this.#options.stagedFiles.removeLoaded()
  }

  /** @throws CommitFencedError when rows of another process lie across the start or the end of a range */
  async #unlessCrossed(spans: readonly Span[], work: () => Promise<number>): Promise<number> {
    try {
      return await work()
    } catch (error) {
      if (!isRaised(error)) throw error
      const ends = await this.#options.rows.endsOf(spans)
      const landed = new Map(ends.map((end) => [generationKey(end), end.offset]))
      const fenced = spans.flatMap((span) => {
        const landedTo = landed.get(generationKey(span)) ?? 0
        return landedTo > span.start ? [{ span, landedTo }] : []
      })
      if (fenced.length > 0) throw new CommitFencedError(fenced)
      throw new TailraceError(
        'COMMIT_CONTENDED',
        'Rows across the ends of the replaced ranges were removed meanwhile.',
        { cause: error },
      )
    }
  }

  /** @returns the number of rows that were added */
  #replaced(
    spans: readonly Span[],
    { files }: Pick<EncodedBatch, 'files'>,
    sent: SentReplacement,
  ): Promise<number> {
    return withStagedFiles(this.#options.files, files, (batch) => this.#inParts(spans, batch, sent), {
      maxAttempts,
      mend: (error) => this.#mend(error),
    })
  }

  /** @returns whether the table had other columns, which are known now */
  async #mend(error: unknown): Promise<boolean> {
    if (!hasOtherColumns(error)) return false
    await this.open()
    return true
  }

  /** A statement has room for the parameters of some ranges only; each range is replaced as a whole. */
  async #inParts(
    spans: readonly Span[],
    batch: StagedBatch,
    { repeatable, guard }: SentReplacement,
  ): Promise<number> {
    let added = 0
    for (let from = 0; from < spans.length; from += maxRangesPerStatement) {
      const part = spans.slice(from, from + maxRangesPerStatement)
      const { condition, parameters } = withinRanges(part)
      const checks = [
        ...(spans.length > maxRangesPerStatement ? [`(${condition})`] : []),
        this.#raising(guard === 'crossing' ? this.#crossing(part) : newerRows(condition)),
      ]
      const [result] = await this.#options.warehouse
        .execute({
          label: 'replace the rows of ranges',
          sql: this.#sql(condition, batch, checks),
          parameters: guard === 'crossing' ? parameters : { ...parameters, ...guard.known },
          repeatable,
          batch: batch.id,
        })
        .catch((error: unknown) => {
          this.#isInDoubt ||= mayBeExecuted(error)
          throw error
        })
      added += Number(result?.num_inserted_rows ?? 0)
    }
    return added
  }

  /** The statement has no list of columns, so it names all of the table, in their order. */
  #sql(condition: string, { paths }: StagedBatch, checks: readonly string[]): string {
    const { declaration } = this.#options
    const declared = new Map(declaration.columns.map((column) => [column.name.toLowerCase(), column]))
    const list = this.#columns.map((name) =>
      declared.has(name.toLowerCase()) ? quoteName(name) : `NULL AS ${quoteName(name)}`,
    )
    const rows = selectFilesSql(declaration.columns, paths)
    return `INSERT INTO ${qualifiedName(declaration.name)} REPLACE WHERE ${condition}
SELECT ${list.join(', ')} FROM (${rows})
WHERE ${checks.join(' AND ')}`
  }

  /**
   * Formats a condition of the inserted rows that raises an error when the table has a row of a kind.
   *
   * https://docs.databricks.com/sql/language-manual/functions/raise_error (read 2026-12-01)
   */
  #raising(condition: string): string {
    const { declaration } = this.#options
    const found = `(SELECT count(*) FROM ${qualifiedName(declaration.name)} WHERE ${condition})`
    return `CASE WHEN ${found} > 0 THEN CAST(raise_error('another process has landed a part of a range') AS BOOLEAN) ELSE TRUE END`
  }

  #crossing(spans: readonly Span[]): string {
    const { markOf } = this.#options
    // Without the mark of a line, a document may have grown.
    const mayHaveGrown = (source: BlobGeneration): boolean => {
      const mark = markOf(source)
      return mark?.tail === undefined || mark.closing !== undefined
    }
    return crossingRanges(spans, mayHaveGrown)
  }
}

function intentOf(spans: readonly Span[]): LoadIntent {
  return { id: randomUUID(), mode: 'replace-where', spans, files: [] }
}

/** How a replacement is sent. */
interface SentReplacement extends Pick<Statement, 'repeatable'> {
  /** Ends the statement when a row of the table crosses a range, or at a replay when it has rows of a later one. */
  readonly guard: 'crossing' | { readonly known: KnownRows }
}

/** The rows of a range before its replay. */
interface KnownRows extends IngestTimes {
  /** See `RowsBefore.newest`. */
  readonly newest: string | null
}

/** Whether the guard of a statement has ended it. */
function isRaised(error: unknown): boolean {
  return isOfClass(error, 'USER_RAISED_EXCEPTION')
}

/** Whether somebody has added a column to the table since it was opened. */
function hasOtherColumns(error: unknown): boolean {
  return isOfClass(error, 'INSERT_COLUMN_ARITY_MISMATCH')
}

function isOfClass(error: unknown, errorClass: string): boolean {
  return isTailraceError(error, 'STATEMENT_FAILED') && String(error.context.errorClass).startsWith(errorClass)
}
