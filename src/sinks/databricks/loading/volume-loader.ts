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
import { type CopyInto, isMissingStagedFile } from './copy-into.ts'
import { type IngestTimes, type RangeRows, rangesOf } from './range-rows.ts'
import type { RecordIntent, RowLoader, Settlement } from './row-loader.ts'

/** Loads staged files into a table. */
export interface TableLoad {
  readonly copy: CopyInto
  readonly rows: RangeRows
  /** Creates the table or checks its schema. */
  readonly ensureTable: () => Promise<void>
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
  readonly #options: VolumeLoaderOptions
  /** Names of the current intent's files that were uploaded completely. */
  readonly #staged = new Set<string>()

  constructor(options: VolumeLoaderOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#options.table?.ensureTable()
  }

  async settle(intent: LoadIntent, recordIntent: RecordIntent): Promise<Settlement> {
    const isStaged = await this.#isStaged(intent)
    const { table } = this.#options
    if (table === undefined) {
      if (isStaged) return 'done'
      await this.#removeStaged(intent)
      return 'not-begun'
    }
    if (intent.replaces?.oldRows === 'remain') {
      if (isStaged) {
        await this.#exchange(table, intent, intent.replaces, recordIntent)
        return 'done'
      }
    } else {
      // With a file missing, either nothing was loaded yet, or somebody removed the file after the load.
      const outcome = isStaged ? await this.#load(table, intent) : await this.#find(table, intent)
      if (outcome === 'loaded') return 'done'
      if (intent.replaces !== undefined) throw unclear(intent, 0)
    }
    await this.#removeStaged(intent)
    return 'not-begun'
  }

  async add(
    { spans, encoded }: { readonly spans: readonly Span[]; readonly encoded: EncodedBatch },
    begun: LoadIntent | undefined,
    recordIntent: RecordIntent,
  ): Promise<void> {
    const intent = begun ?? (await this.#begin(spans, encoded.files, recordIntent))
    await this.#stage(intent, encoded.files)
    const { table } = this.#options
    if (table === undefined || (await this.#load(table, intent)) === 'loaded') return
    // Somebody removed the files from the volume. The local ones still exist, so upload them again.
    this.#staged.clear()
    await this.#stage(intent, encoded.files)
    if ((await this.#load(table, intent)) === 'missing') throw unclear(intent, 0)
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
    return this.#exchange(table, intent, replaces, recordIntent)
  }

  async landedByRows(): Promise<readonly LandedOffset[]> {
    return this.#options.table === undefined ? [] : this.#options.table.rows.ends()
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
  ): Promise<number> {
    const [span] = intent.spans
    if (span === undefined) return 0
    const removed = await table.rows.remove(span, replaces)
    const removedNow: LoadIntent = { ...intent, replaces: { ...replaces, oldRows: 'removed' } }
    await recordIntent(removedNow)
    const outcome = await this.#load(table, removedNow)
    const found = await table.rows.count([span])
    if (outcome === 'missing' || found !== intendedRows(intent)) throw unclear(removedNow, found)
    return removed
  }

  /** @returns `missing` when neither the rows are in the table nor all files in the volume */
  async #load(table: TableLoad, intent: LoadIntent): Promise<'loaded' | 'missing'> {
    const added = await table.copy.load(intent).catch((error: unknown) => {
      if (isMissingStagedFile(error)) return 0
      throw error
    })
    // When nothing was added, the rows are counted: the list of loaded files alone does not prove that they are there.
    return added > 0 ? 'loaded' : this.#find(table, intent)
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
    const batch: LoadIntent = { id, mode, spans, files: named }
    const intent: LoadIntent = replaces === undefined ? batch : { ...batch, replaces }
    this.#staged.clear()
    await recordIntent(intent)
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

  async #isStaged({ files }: LoadIntent): Promise<boolean> {
    for (const { name, bytes } of files) {
      if ((await this.#options.staging.sizeOf(name)) !== bytes) return false
    }
    return true
  }

  async #removeStaged({ files }: LoadIntent): Promise<void> {
    for (const { name } of files) await this.#options.staging.remove(name)
  }
}

/** Reads the encoding times of new rows from the files' statistics; the current time when there are no rows. */
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
    `The table has a wrong number of rows of batch ${intent.id}: expected ${rows}, found ${found}${rangesOf(intent.spans)}. Its files cannot be loaded again.`,
    { context: { batch: intent.id, rows, found } },
  )
}
