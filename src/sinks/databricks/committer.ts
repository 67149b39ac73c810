import { type Clock, systemClock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { LoadIntent } from '../../offsets/load-intent.ts'
import { generationKey, type Span } from '../../records.ts'
import { SerialQueue } from '../../serial-queue.ts'
import { requireOffsets } from '../commit-fence.ts'
import type { CommitReceipt, EncodedBatch, TableCommitter } from '../table-committer.ts'
import type { LoadLedger, RowLoader } from './loading/row-loader.ts'

export interface DatabricksCommitterOptions {
  /** For logs: host and table. */
  readonly location: string
  readonly loader: RowLoader
  readonly ledger: LoadLedger
  /** What the ledger held when it was opened; the committer's own from now on. */
  readonly offsets: LandedOffsets
  /**
   * Whether offsets are to be found from the table's rows, because the ledger was lost. They say what is landed as
   * well, but for blank lines at the end.
   */
  readonly recoversOffsets: boolean
  /** Which blobs are this pipeline's to land, by `source_blob`. */
  readonly landsBlob: (blob: string) => boolean
  /** Hears that offsets were found from rows, and of how many blob generations. */
  readonly onOffsetsRecovered: (count: number) => void
  /** Hears what became of a batch that an earlier process had begun. */
  readonly onSettled: (intent: LoadIntent, landed: boolean) => void
  /** What the loader's intents are of; undefined where it writes none. */
  readonly mode: LoadIntent['mode'] | undefined
  readonly clock?: Clock
  /** Gives back what the loader works with. */
  readonly close: () => Promise<void>
}

/** How long the end of a run waits for what nobody needs at once, in milliseconds. */
const closeMs = 5_000

/**
 * Lands batches in a table of a Databricks workspace.
 *
 * The table cannot hold offsets, so the ledger does, together with what is about to be loaded. Before anything else,
 * `open` ends what an earlier process had begun, with the boundaries and files of its intent.
 */
export class DatabricksCommitter implements TableCommitter {
  readonly location: string
  readonly tableVersion = undefined
  readonly #options: DatabricksCommitterOptions
  readonly #offsets: LandedOffsets
  /** One batch at a time. */
  #queue = new SerialQueue()
  #tidying: Promise<void> | undefined

  constructor(options: DatabricksCommitterOptions) {
    this.location = options.location
    this.#options = options
    this.#offsets = options.offsets
  }

  async open(): Promise<void> {
    const { loader, ledger, recoversOffsets } = this.#options
    await this.#queue.run(async () => {
      await loader.open()
      if (ledger.intent !== undefined) await this.#settle(ledger.intent)
      if (recoversOffsets) await this.#recoverOffsets()
    })
  }

  landed(): LandedOffsets {
    return this.#offsets
  }

  async land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt> {
    return this.#queue.run(async () => {
      const { loader, ledger } = this.#options
      requireOffsets(spans, (source) => this.#offsets.get(source))
      if (encoded.rows > 0) {
        const begun = ledger.intent
        if (begun !== undefined && !isOf(begun, spans)) throw new Error('another batch is under way')
        await loader.add({ spans, encoded }, begun, (intent) => this.#note(intent))
      }
      // Where blobs begin is recorded without rows, and whatever batch is under way stays so.
      await this.#advance(spans, encoded.rows > 0 ? undefined : ledger.intent)
      this.#inBackground(() => loader.tidy())
      return {}
    })
  }

  async replace(
    span: Span,
    encoded: readonly EncodedBatch[],
  ): Promise<CommitReceipt & { readonly removedRows: number }> {
    return this.#queue.run(async () => {
      const { loader, ledger } = this.#options
      const removedRows = await loader.replace(span, encoded, (intent) => this.#note(intent))
      await ledger.record(this.#offsets, undefined)
      return { removedRows }
    })
  }

  /** Does not wait for the workspace: what may become free is not where the caller is short of it. */
  async releaseCaches(): Promise<void> {
    this.#inBackground(() => this.#options.loader.reclaim())
  }

  async close(): Promise<void> {
    await this.#queue.idle()
    const { clock = systemClock, close } = this.#options
    // A short run would never come to tidy up; an unreachable workspace must not hold the end up.
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(closeMs, resolve)
    })
    await Promise.race([this.#tidying, late])
    cancel()
    await close()
    await this.#tidying
  }

  async #settle(intent: LoadIntent): Promise<void> {
    const { loader, ledger, mode, onSettled } = this.#options
    if (intent.mode !== mode) {
      throw new TailraceError(
        'LOAD_UNCLEAR',
        `A batch was under way in mode ${intent.mode}, which only that mode can end: start with it once.`,
        { context: { batch: intent.id } },
      )
    }
    const isDone = (await loader.settle(intent, (next) => this.#note(next))) === 'done'
    if (isDone && intent.replaces === undefined) await this.#advance(intent.spans, undefined)
    else await ledger.record(this.#offsets, undefined)
    onSettled(intent, isDone)
  }

  async #recoverOffsets(): Promise<void> {
    const { loader, ledger, landsBlob, onOffsetsRecovered } = this.#options
    const found = (await loader.landedByRows()).filter(({ blob }) => landsBlob(blob))
    if (found.length === 0) return
    for (const landed of found) this.#offsets.set(landed)
    await ledger.record(this.#offsets, undefined)
    onOffsetsRecovered(found.length)
  }

  async #note(intent: LoadIntent): Promise<void> {
    await this.#options.ledger.record(this.#offsets, intent)
  }

  /** Offsets in memory never say more than the ledger does. */
  async #advance(spans: readonly Span[], intent: LoadIntent | undefined): Promise<void> {
    const before = spans.map((span) => [span, this.#offsets.get(span)] as const)
    for (const span of spans) this.#offsets.set(landedBy(span))
    try {
      await this.#options.ledger.record(this.#offsets, intent)
    } catch (error) {
      for (const [span, offset] of before) {
        if (offset === undefined) this.#offsets.delete(span)
        else this.#offsets.set({ ...landedBy(span), offset })
      }
      throw error
    }
  }

  /** Work that nobody waits for, one at a time. It tells its own failures. */
  #inBackground(work: () => Promise<void>): void {
    this.#tidying ??= work().finally(() => {
      this.#tidying = undefined
    })
  }
}

function landedBy({ blob, generation, end }: Span): LandedOffset {
  return { blob, generation, offset: end }
}

function isOf(intent: LoadIntent, spans: readonly Span[]): boolean {
  if (intent.replaces !== undefined || intent.spans.length !== spans.length) return false
  return spans.every((span, index) => {
    const other = intent.spans[index]
    return (
      other !== undefined &&
      generationKey(span) === generationKey(other) &&
      span.start === other.start &&
      span.end === other.end
    )
  })
}
