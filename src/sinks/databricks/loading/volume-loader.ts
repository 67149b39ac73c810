import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import {
  type IntendedFile,
  intendedRows,
  type LoadIntent,
  type Replacement,
} from '../../../offsets/load-intent.ts'
import type { Span } from '../../../records.ts'
import type { WrittenFile } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { requireNothingStaged } from '../staging/nothing-staged.ts'
import type { SentMarks } from '../staging/sent-marks.ts'
import { type StagedFiles, stagedFileName } from '../staging/staged-files.ts'
import type { VolumeStaging } from '../staging/volume-staging.ts'
import { type AnnounceLoad, type CopyInto, isMissingStagedFile, maxFilesPerStatement } from './copy-into.ts'
import { announcing, type Orphans, outwaitOrphans } from './orphans.ts'
import { ingestTimes, type RangeRows, rangesOf } from './range-rows.ts'
import type {
  DiscardedRows,
  RecordIntent,
  RowLoader,
  Settlement,
  StoredUnits,
  UnitGroup,
  UnitLoader,
} from './row-loader.ts'

/** Loads staged files into a table. */
export interface TableLoad {
  readonly copy: CopyInto
  readonly rows: RangeRows
  readonly unitFiles: StoredUnits
  readonly sentMarks: Pick<SentMarks, 'put'>
  /** Creates the table or checks its schema. */
  readonly ensureTable: () => Promise<void>
  /** Whether rows may be hidden from the principal; known after `ensureTable`. */
  readonly mayHideRows: () => boolean
  /** Whether nobody has ever written to the table. */
  readonly isUntouched: () => Promise<boolean>
  readonly orphans: Orphans
  /** Releases the warehouse's memory of earlier statements. */
  readonly clearCache: () => Promise<void>
}

export interface VolumeLoaderOptions {
  readonly staging: VolumeStaging
  readonly stagedFiles: StagedFiles
  /** Undefined when files are only staged, and an Auto Loader or a streaming table loads them. */
  readonly table: TableLoad | undefined
  readonly clock: Clock
}

/**
 * Loads batches through files in a volume.
 *
 * The intent, with the files' names, is durable before the first upload, and a name is never reused. So after a crash
 * there are two cases. If a file is missing in the volume, nothing was loaded. If all files are there, loading them
 * again adds their rows, or nothing when the table's list of loaded files has them.
 */
export class VolumeLoader implements RowLoader {
  readonly units: UnitLoader | undefined
  readonly #options: VolumeLoaderOptions
  /** Names of the current intent's files that were uploaded completely. */
  readonly #staged = new Set<string>()
  /** When the upload of the last one began. */
  #stagedAtMs: number | undefined

  constructor(options: VolumeLoaderOptions) {
    this.#options = options
    const { table } = options
    this.units = table && {
      files: table.unitFiles,
      // An intent is loaded by one statement.
      limits: { maxFiles: maxFilesPerStatement, maxRanges: Number.POSITIVE_INFINITY, isOneStatement: true },
      add: (group, recordIntent) => this.#addUnits(table, group, recordIntent),
    }
  }

  async open(): Promise<void> {
    await this.#options.table?.ensureTable()
  }

  async settle(intent: LoadIntent, recordIntent: RecordIntent): Promise<Settlement> {
    const { table } = this.#options
    const isDone =
      table === undefined
        ? (await this.#stagingOf(intent)) === 'whole'
        : intent.replaces?.oldRows === 'remain'
          ? await this.#settleReplay(table, intent, intent.replaces, recordIntent)
          : await this.#settleLoad(table, intent, recordIntent)
    if (isDone) return 'done'
    await this.#removeStaged(intent)
    return 'not-begun'
  }

  /** The old rows are all there, so a replay that cannot remove them is given up. */
  async #settleReplay(
    table: TableLoad,
    intent: LoadIntent,
    replaces: Replacement,
    recordIntent: RecordIntent,
  ): Promise<boolean> {
    if ((await this.#stagingOf(intent)) !== 'whole') return false
    let areRemoved = false
    try {
      await this.#exchange(table, intent, replaces, async (next) => {
        areRemoved = true
        await recordIntent(next)
      })
      return true
    } catch (error) {
      if (!areRemoved && isRefusedRemoval(error)) return false
      throw error
    }
  }

  async #settleLoad(table: TableLoad, intent: LoadIntent, recordIntent: RecordIntent): Promise<boolean> {
    // A listing may be cut, so only another file under the name is evidence; a missing one is reported by the load.
    const isOther = (await this.#stagingOf(intent)) === 'other'
    if (!isOther && (await this.#repeat(table, intent, recordIntent)) === 'loaded') return true
    if (intent.replaces !== undefined) throw unclear(intent, 0)
    const { loadingSinceMs, files } = intent
    if (loadingSinceMs === null) return false
    // The files are gone, and a statement that has read them before may still add their rows.
    if (table.mayHideRows()) throw unclear(intent, 0)
    const { clock } = this.#options
    if (files.length > 0) await outwaitOrphans(table.orphans, loadingSinceMs ?? clock.now(), clock)
    return (await this.#find(table, intent)) === 'loaded'
  }

  /** Sends an earlier load again. An answer that leaves it unclear ends the time in which the new statement may run. */
  async #repeat(
    table: TableLoad,
    intent: LoadIntent,
    recordIntent: RecordIntent,
  ): Promise<'loaded' | 'missing'> {
    const announce = this.#announcing(table, intent, recordIntent, undefined)
    try {
      return await this.#load(table, intent, announce)
    } catch (error) {
      if (isTailraceError(error, 'LOAD_UNCLEAR') && typeof intent.loadingSinceMs === 'number')
        await recordIntent(intent)
      throw error
    }
  }

  async discard(intent: LoadIntent, removesRows: boolean): Promise<DiscardedRows> {
    const { table, clock } = this.#options
    if (table === undefined || table.mayHideRows()) throw unclear(intent, 0)
    const { loadingSinceMs, replaces, spans } = intent
    // The old rows of a replay are removed before its load, so its own rows cannot be there while they may remain.
    const maybeLoaded = replaces?.oldRows !== 'remain'
    const count = async (): Promise<number> => (maybeLoaded ? table.rows.count(spans) : 0)
    const foundBefore = await count()
    const isExplained = foundBefore === 0 || foundBefore === intendedRows(intent)
    // The files are evidence, so a refusal keeps them.
    if (!isExplained && !removesRows) throw unclear(intent, foundBefore)
    await this.#removeStaged(intent)
    // A statement that has read the files before may still add their rows. Earlier releases did not say when it was sent.
    const isSent = loadingSinceMs !== null || replaces !== undefined
    if (isSent) await outwaitOrphans(table.orphans, loadingSinceMs ?? clock.now(), clock)
    const found = await count()
    if (maybeLoaded && found === intendedRows(intent)) return { kind: 'loaded' }
    if (found > 0 && !removesRows) throw unclear(intent, found)
    if (found > 0) await table.rows.removeAll(intent.spans)
    return { kind: 'none', removed: found }
  }

  async add(
    { spans, encoded }: { readonly spans: readonly Span[]; readonly encoded: EncodedBatch },
    begun: LoadIntent | undefined,
    recordIntent: RecordIntent,
  ): Promise<void> {
    const { table } = this.#options
    if (table !== undefined && begun === undefined) await requireNoRows(table, spans)
    const prepared = begun ?? (await this.#begin(spans, encoded.files, recordIntent))
    await this.#stage(prepared, encoded.files)
    if (table === undefined) return
    const intent = await this.#sending(prepared, recordIntent)
    const announce = this.#announcing(table, intent, recordIntent, this.#stagedAtMs)
    if ((await this.#load(table, intent, announce)) === 'loaded') return
    // Somebody removed the files from the volume. The local ones still exist, so upload them again.
    this.#staged.clear()
    await this.#stage(intent, encoded.files)
    if ((await this.#load(table, intent, announce)) === 'missing') throw unclear(intent, 0)
  }

  async #addUnits(table: TableLoad, { spans, files }: UnitGroup, recordIntent: RecordIntent): Promise<void> {
    await requireNoRows(table, spans)
    const intent: LoadIntent = {
      id: randomUUID(),
      mode: 'copy-into',
      spans,
      files,
      loadingSinceMs: this.#options.clock.now(),
    }
    await recordIntent(intent)
    const announce = this.#announcing(table, intent, recordIntent, undefined)
    if ((await this.#load(table, intent, announce)) === 'missing') throw unclear(intent, 0)
  }

  async replace(span: Span, encoded: readonly EncodedBatch[], recordIntent: RecordIntent): Promise<number> {
    const { table } = this.#options
    if (table === undefined) {
      throw new TailraceError(
        'TABLE_UNSUPPORTED',
        'Rows cannot be replaced in mode stage-only: delete them in Databricks and stage the range again.',
      )
    }
    const files = encoded.flatMap((batch) => batch.files)
    const replaces: Replacement = { oldRows: 'remain', ...ingestTimes(files, this.#options.clock.now()) }
    if (files.length === 0) return table.rows.remove(span, replaces)
    const intent = await this.#begin([span], files, recordIntent, replaces)
    await this.#stage(intent, files)
    return this.#exchange(table, intent, replaces, recordIntent, this.#stagedAtMs)
  }

  async landedByRows(): Promise<readonly LandedOffset[]> {
    const { table, staging, stagedFiles, clock } = this.#options
    if (table === undefined) {
      await requireNothingStaged(staging)
      return []
    }
    if (table.mayHideRows()) {
      if (await table.isUntouched()) return []
      throw new TailraceError(
        'LOAD_UNCLEAR',
        'There is no usable offset file, and the table may hide rows from the principal, so offsets cannot be computed from them: restore the file, or let the principal see all rows during one start.',
      )
    }
    await outwaitOrphans(table.orphans, await stagedFiles.newestMs({ ofLoads: true }), clock)
    return table.rows.ends()
  }

  async tidy(): Promise<void> {
    await this.#options.stagedFiles.removeExpired()
  }

  async reclaim(): Promise<void> {
    const { table, stagedFiles } = this.#options
    // In mode stage-only it is unknown which files an Auto Loader has loaded.
    if (table === undefined) return
    await stagedFiles.removeLoaded()
    await table.clearCache()
  }

  /** Removes the old rows, then loads the staged files. The intent records the step in between. */
  async #exchange(
    table: TableLoad,
    intent: LoadIntent,
    replaces: Replacement,
    recordIntent: RecordIntent,
    stagedAtMs?: number | undefined,
  ): Promise<number> {
    const [span] = intent.spans
    if (span === undefined) return 0
    const removed = await table.rows.remove(span, replaces)
    const removedNow: LoadIntent = {
      ...intent,
      loadingSinceMs: this.#options.clock.now(),
      replaces: { ...replaces, oldRows: 'removed' },
    }
    await recordIntent(removedNow)
    const announce = this.#announcing(table, removedNow, recordIntent, stagedAtMs)
    const outcome = await this.#load(table, removedNow, announce)
    const found = await table.rows.count([span])
    if (outcome === 'missing' || found !== intendedRows(intent)) throw unclear(removedNow, found)
    return removed
  }

  /**
   * @returns `missing` when neither the rows are in the table nor all files in the volume
   * @throws LOAD_UNCLEAR when the table counts the files as loaded and its rows are not there
   */
  async #load(table: TableLoad, intent: LoadIntent, announce: AnnounceLoad): Promise<'loaded' | 'missing'> {
    let isMissing = false
    const added = await table.copy.load(intent, announce).catch((error: unknown) => {
      if (!isMissingStagedFile(error)) throw error
      isMissing = true
      return 0
    })
    // The list of loaded files has the last word where rows may be hidden. It alone never means that nothing was loaded.
    if (!isMissing && table.mayHideRows()) return 'loaded'
    if (added > 0) {
      await this.#requireNoTwin(table, intent)
      return 'loaded'
    }
    const outcome = await this.#find(table, intent)
    if (outcome === 'missing' && !isMissing) throw unclear(intent, 0)
    return outcome
  }

  /**
   * Another process may have loaded the same ranges from files of its own, at the same moment. Each of the two counts after
   * its load, so at least the later one finds both.
   *
   * @throws LOAD_UNCLEAR
   */
  async #requireNoTwin(table: TableLoad, intent: LoadIntent): Promise<void> {
    const found = await table.rows.count(intent.spans)
    const rows = intendedRows(intent)
    if (found <= rows) return
    throw new TailraceError(
      'LOAD_UNCLEAR',
      `The table has more rows of batch ${intent.id} than were loaded: expected ${rows}, found ${found}${rangesOf(intent.spans)}. Another process has loaded the same ranges at the same moment: end it, and remove what is there twice.`,
      { context: { batch: intent.id, rows, found } },
    )
  }

  /** Records that the load is about to be sent: until then, missing files mean that nothing was loaded. */
  async #sending(intent: LoadIntent, recordIntent: RecordIntent): Promise<LoadIntent> {
    if (typeof intent.loadingSinceMs === 'number') return intent
    const sending: LoadIntent = { ...intent, loadingSinceMs: this.#options.clock.now() }
    await recordIntent(sending)
    return sending
  }

  /** @param stagedAtMs since when the intent's files are in the volume; undefined when they may be old */
  #announcing(
    { sentMarks }: TableLoad,
    intent: LoadIntent,
    recordIntent: RecordIntent,
    stagedAtMs: number | undefined,
  ): AnnounceLoad {
    const put = async (loadingSinceMs: number): Promise<void> => {
      await sentMarks.put(intent.id)
      await recordIntent({ ...intent, loadingSinceMs })
    }
    return announcing(put, stagedAtMs, this.#options.clock)
  }

  /** @throws LOAD_UNCLEAR when the table has only some of the rows */
  async #find(table: TableLoad, intent: LoadIntent): Promise<'loaded' | 'missing'> {
    const found = await table.rows.count(intent.spans)
    if (found === intendedRows(intent)) return 'loaded'
    if (found > 0) throw unclear(intent, found)
    return 'missing'
  }

  async #begin(
    spans: readonly Span[],
    files: readonly WrittenFile[],
    recordIntent: RecordIntent,
    replaces?: Replacement,
  ): Promise<LoadIntent> {
    const id = randomUUID()
    const nowMs = this.#options.clock.now()
    const named = files.map(
      ({ bytes, rows }, index): IntendedFile => ({ name: stagedFileName(id, index, nowMs), bytes, rows }),
    )
    const mode = this.#options.table === undefined ? 'stage-only' : 'copy-into'
    const batch: LoadIntent = { id, mode, spans, files: named, loadingSinceMs: null }
    const intent: LoadIntent = replaces === undefined ? batch : { ...batch, replaces }
    this.#staged.clear()
    await recordIntent(intent)
    return intent
  }

  async #stage(intent: LoadIntent, files: readonly WrittenFile[]): Promise<void> {
    for (const [index, { name }] of intent.files.entries()) {
      const file = files[index]
      if (file === undefined || this.#staged.has(name)) continue
      this.#stagedAtMs = this.#options.clock.now()
      await this.#options.staging.put(name, file.path)
      this.#staged.add(name)
    }
  }

  /** @returns `other` when a file has another size than the intent says */
  async #stagingOf({ files }: LoadIntent): Promise<'whole' | 'missing' | 'other'> {
    let isMissing = false
    for (const { name, bytes } of files) {
      const found = await this.#options.staging.sizeOf(name)
      if (found !== undefined && found !== bytes) return 'other'
      if (found === undefined) isMissing = true
    }
    return isMissing ? 'missing' : 'whole'
  }

  async #removeStaged({ files }: LoadIntent): Promise<void> {
    for (const { name } of files) await this.#options.staging.remove(name)
  }
}

/**
 * Checks that nobody has landed the rows of a batch before its first load.
 *
 * @throws LOAD_UNCLEAR
 */
async function requireNoRows(table: TableLoad, spans: readonly Span[]): Promise<void> {
  const found = await table.rows.count(spans)
  if (found === 0) return
  throw new TailraceError(
    'LOAD_UNCLEAR',
    `The table has ${found} rows of ranges that are not landed by the offset file${rangesOf(spans)}: another process lands the same blobs with another state directory, or the offset file is an old copy.`,
    { context: { found } },
  )
}

/** Whether a table refuses to remove rows, for instance because it is append-only. */
function isRefusedRemoval(error: unknown): boolean {
  return isTailraceError(error, 'STATEMENT_FAILED') && error.context.executed === 'failed'
}

function unclear(intent: LoadIntent, found: number): TailraceError {
  const rows = intendedRows(intent)
  return new TailraceError(
    'LOAD_UNCLEAR',
    `The table has a wrong number of rows of batch ${intent.id}: expected ${rows}, found ${found}${rangesOf(intent.spans)}. Its files cannot be loaded again.`,
    { context: { batch: intent.id, rows, found } },
  )
}
