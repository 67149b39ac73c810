import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
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
import { type StagedFiles, stagedFileName } from '../staging/staged-files.ts'
import type { VolumeStaging } from '../staging/volume-staging.ts'
import { type CopyInto, isMissingFile } from './copy-into.ts'
import { type IngestTimes, type RangeRows, rangesOf } from './range-rows.ts'
import type { NoteIntent, RowLoader, Settlement } from './row-loader.ts'

/** How staged files become rows; without it they are left to an Auto Loader or a streaming table. */
export interface TableLoad {
  readonly copy: CopyInto
  readonly rows: RangeRows
  /** Creates the table, or checks it. */
  readonly ensureTable: () => Promise<void>
  /** Lets go of what the warehouse keeps of earlier statements. */
  readonly clearCache: () => Promise<void>
}

export interface VolumeLoaderOptions {
  readonly staging: VolumeStaging
  readonly stagedFiles: StagedFiles
  readonly table: TableLoad | undefined
  readonly clock: Clock
}

/**
 * Loads batches through files in a volume.
 *
 * The intent, with the files' names, is durable before the first byte is uploaded, and a name is used once. So at any
 * instant a crash leaves one of these, and the volume and the table tell which: not all files are there, and nothing
 * was loaded; or they are, and loading them once more adds their rows or, by the table's list of loaded files, nothing.
 */
export class VolumeLoader implements RowLoader {
  readonly #options: VolumeLoaderOptions
  /** Names of the present intent that are known to be there in whole. */
  readonly #staged = new Set<string>()

  constructor(options: VolumeLoaderOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#options.table?.ensureTable()
  }

  async settle(intent: LoadIntent, note: NoteIntent): Promise<Settlement> {
    const areThere = await this.#areStaged(intent)
    const { table } = this.#options
    if (table === undefined) {
      if (areThere) return 'done'
      await this.#removeStaged(intent)
      return 'not-begun'
    }
    if (intent.replaces?.oldRows === 'remain') {
      if (areThere) {
        await this.#exchange(table, intent, intent.replaces, note)
        return 'done'
      }
    } else {
      // Nothing is loaded before all files are there, unless somebody has removed one since.
      const outcome = areThere ? await this.#load(table, intent) : await this.#find(table, intent)
      if (outcome === 'there') return 'done'
      if (intent.replaces !== undefined) throw unclear(intent, 0)
    }
    await this.#removeStaged(intent)
    return 'not-begun'
  }

  async add(
    { spans, encoded }: { readonly spans: readonly Span[]; readonly encoded: EncodedBatch },
    begun: LoadIntent | undefined,
    note: NoteIntent,
  ): Promise<void> {
    const intent = begun ?? (await this.#begin(spans, encoded.files, note))
    await this.#stage(intent, encoded.files)
    const { table } = this.#options
    if (table === undefined || (await this.#load(table, intent)) === 'there') return
    // Somebody removed the files from the volume; here they still are.
    this.#staged.clear()
    await this.#stage(intent, encoded.files)
    if ((await this.#load(table, intent)) === 'gone') throw unclear(intent, 0)
  }

  async replace(span: Span, encoded: readonly EncodedBatch[], note: NoteIntent): Promise<number> {
    const { table } = this.#options
    if (table === undefined) {
      throw new TailraceError(
        'TABLE_UNSUPPORTED',
        'Rows are loaded by Databricks here, so they cannot be replaced: remove them there, and stage the range again.',
      )
    }
    const files = encoded.flatMap((batch) => batch.files)
    const replaces: Replacement = { oldRows: 'remain', ...ingestTimes(files, this.#options.clock.now()) }
    if (files.length === 0) return table.rows.remove(span, replaces)
    const intent = await this.#begin([span], files, note, replaces)
    await this.#stage(intent, files)
    return this.#exchange(table, intent, replaces, note)
  }

  async landedByRows(): Promise<readonly LandedOffset[]> {
    return this.#options.table === undefined ? [] : this.#options.table.rows.ends()
  }

  async tidy(): Promise<void> {
    await this.#options.stagedFiles.removeExpired()
  }

  async reclaim(): Promise<void> {
    const { table, stagedFiles } = this.#options
    // Nothing tells here which files an Auto Loader has taken.
    if (table === undefined) return
    await stagedFiles.removeLoaded()
    await table.clearCache()
  }

  /** The rows go only when the files that replace them are there, and are gone before the first of these is loaded. */
  async #exchange(
    table: TableLoad,
    intent: LoadIntent,
    replaces: Replacement,
    note: NoteIntent,
  ): Promise<number> {
    const [span] = intent.spans
    if (span === undefined) return 0
    const removed = await table.rows.remove(span, replaces)
    const removedNow: LoadIntent = { ...intent, replaces: { ...replaces, oldRows: 'removed' } }
    await note(removedNow)
    const outcome = await this.#load(table, removedNow)
    const found = await table.rows.count([span])
    if (outcome === 'gone' || found !== intendedRows(intent)) throw unclear(removedNow, found)
    return removed
  }

  /** @returns whether the rows are in the table, or neither they nor the files are anywhere */
  async #load(table: TableLoad, intent: LoadIntent): Promise<'there' | 'gone'> {
    const added = await table.copy.load(intent).catch((error: unknown) => {
      if (isMissingFile(error)) return 0
      throw error
    })
    // The list of loaded files says that they were; the rows themselves are the better witness.
    return added > 0 ? 'there' : this.#find(table, intent)
  }

  /** @throws LOAD_UNCLEAR when some of the rows are there */
  async #find(table: TableLoad, intent: LoadIntent): Promise<'there' | 'gone'> {
    const found = await table.rows.count(intent.spans)
    if (found === intendedRows(intent)) return 'there'
    if (found > 0) throw unclear(intent, found)
    return 'gone'
  }

  async #begin(
    spans: readonly Span[],
    files: readonly WrittenFile[],
    note: NoteIntent,
    replaces?: Replacement,
  ): Promise<LoadIntent> {
    const id = randomUUID()
    const nowMs = this.#options.clock.now()
    const named = files.map(
      ({ bytes, rows }, index): IntendedFile => ({ name: stagedFileName(id, index, nowMs), bytes, rows }),
    )
    const mode = this.#options.table === undefined ? 'stage-only' : 'copy-into'
    const intent: LoadIntent = {
      id,
      mode,
      spans,
      files: named,
      ...(replaces === undefined ? {} : { replaces }),
    }
    this.#staged.clear()
    await note(intent)
    return intent
  }

  async #stage(intent: LoadIntent, files: readonly WrittenFile[]): Promise<void> {
    for (const [index, { name }] of intent.files.entries()) {
      const file = files[index]
      if (file === undefined || this.#staged.has(name)) continue
      await this.#options.staging.put(name, file.path)
      this.#staged.add(name)
    }
  }

  async #areStaged({ files }: LoadIntent): Promise<boolean> {
    for (const { name, bytes } of files) {
      if ((await this.#options.staging.sizeOf(name)) !== bytes) return false
    }
    return true
  }

  async #removeStaged({ files }: LoadIntent): Promise<void> {
    for (const { name } of files) await this.#options.staging.remove(name)
  }
}

/** What the files themselves say; where a replay has no rows, no time before now is one of theirs. */
function ingestTimes(files: readonly WrittenFile[], nowMs: number): IngestTimes {
  const now = new Date(nowMs).toISOString().replace('T', ' ').slice(0, -1)
  const bounds = files.map(({ columns }) => columns.get('ingest_ts'))
  // `2026-11-24 08:47:00.123+00`
  const inUtc = (text: string | undefined): string => (text ?? now).replace(/\+00$/, '')
  const first = bounds.map((bound) => inUtc(bound?.min)).sort()[0] ?? now
  const last =
    bounds
      .map((bound) => inUtc(bound?.max))
      .sort()
      .at(-1) ?? now
  return { ingestedFrom: first, ingestedTo: last }
}

function unclear(intent: LoadIntent, found: number): TailraceError {
  const rows = intendedRows(intent)
  return new TailraceError(
    'LOAD_UNCLEAR',
    `Of the ${rows} rows of batch ${intent.id} the table holds ${found}${rangesOf(intent.spans)}, and its files cannot be loaded again.`,
    { context: { batch: intent.id, rows, found } },
  )
}
