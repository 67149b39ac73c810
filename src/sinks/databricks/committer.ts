import { type Clock, systemClock } from '../../clock.ts'
import { isTailraceError, TailraceError } from '../../errors.ts'
import type { LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { LoadIntent } from '../../offsets/load-intent.ts'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { type BlobGeneration, generationKey, type Span } from '../../records.ts'
import { CommitFencedError, requireOffsets } from '../commit-fence.ts'
import type {
  CommitReceipt,
  DiscardedLoad,
  DiscardOptions,
  EncodedBatch,
  TableCommitter,
  UnitsReceipt,
  WrittenUnit,
} from '../table-committer.ts'
import { BackgroundWork } from './background-work.ts'
import { isMissingStagedFile } from './loading/copy-into.ts'
import { landUnitGroups } from './loading/land-unit-groups.ts'
import type { LoadLedger, RowLoader, UnitGroup, UnitLoader } from './loading/row-loader.ts'

export interface DatabricksCommitterOptions {
  /** Host and table, for logs. */
  readonly location: string
  readonly loader: RowLoader
  readonly ledger: LoadLedger
  /** The ledger's offsets when it was opened; the committer owns and changes this object from now on. */
  readonly offsets: LandedOffsets
  /**
   * Whether to compute offsets from the table's rows because the ledger was lost. They may lack blank lines after a
   * blob's last row, which do no harm when they are read again.
   */
  readonly recoversOffsets: boolean
  /** Whether this pipeline lands a blob, by `source_blob`. */
  readonly landsBlob: (blob: string) => boolean
  /** Called when offsets of `count` blob generations were computed from rows. */
  readonly onOffsetsRecovered: (count: number) => void
  /** Called when an earlier process's load was completed (`landed`) or discarded. */
  readonly onSettled: (intent: LoadIntent, landed: boolean) => void
  /** Called when an earlier process's load could not be settled: the other blobs land meanwhile. */
  readonly onUnsettled: (intent: LoadIntent, error: TailraceError) => void
  /** The mode of the loader's intents; undefined when it records none. */
  readonly mode: LoadIntent['mode'] | undefined
  readonly clock?: Clock | undefined
  /** Closes the connections that the loader uses. */
  readonly close: () => Promise<void>
}

/**
 * Lands batches in a table of a Databricks workspace.
 *
 * The table cannot hold offsets, so the ledger does, together with the intent of the current load. `open` first completes
 * or discards the load of an earlier process, with the spans and files of its intent.
 */
export class DatabricksCommitter implements TableCommitter {
  readonly location: string
  readonly tableVersion = undefined
  readonly landUnits?: (units: readonly WrittenUnit[]) => Promise<UnitsReceipt>
  readonly refresh?: () => Promise<void>
  readonly #options: DatabricksCommitterOptions
  readonly #offsets: LandedOffsets
  /** One batch at a time. */
  #queue = new SerialQueue()
  readonly #background: BackgroundWork
  /** Generations that another process lands, too, by their keys: `refresh` reads their offsets off the rows. */
  readonly #shared = new Map<string, BlobGeneration>()
  /** Why each of the ledger's unsettled loads could not be settled, by its id. */
  readonly #unsettledBecause = new Map<string, TailraceError>()

  constructor(options: DatabricksCommitterOptions) {
    this.location = options.location
    this.#options = options
    this.#offsets = options.offsets
    this.#background = new BackgroundWork(options.clock ?? systemClock)
    const { loader } = options
    const { units: unitLoader } = loader
    if (loader.landedOf !== undefined) this.refresh = () => this.#refresh()
    if (unitLoader !== undefined) this.landUnits = (units) => this.#landUnits(units, unitLoader)
  }

  async open(): Promise<void> {
    const { loader, ledger, recoversOffsets } = this.#options
    await this.#queue.run(async () => {
      await loader.open()
      const { intent, unsettled } = ledger
      if (intent !== undefined) await this.#settleOrHold(intent)
      // Somebody may have repaired the table, or granted a right.
      for (const one of without(unsettled, intent)) await this.#settleOrHold(one)
      if (recoversOffsets) await this.#recoverOffsets()
    })
  }

  landed(): LandedOffsets {
    return this.#offsets
  }

  get heldBlobs(): ReadonlyMap<string, TailraceError> {
    const held = new Map<string, TailraceError>()
    for (const { id, spans } of this.#options.ledger.unsettled) {
      const error = this.#unsettledBecause.get(id)
      for (const { blob } of spans) if (error !== undefined) held.set(blob, error)
    }
    return held
  }

  async discardLoad(id: string | undefined, { removesRows }: DiscardOptions): Promise<DiscardedLoad> {
    return this.#queue.run(async () => {
      const { loader, ledger } = this.#options
      const intent = chosen(ledger.unsettled, id)
      const rows = await loader.discard?.(intent, removesRows)
      if (rows?.kind === 'loaded') {
        await this.#end(intent, true)
        return { batch: intent.id, outcome: 'landed', removedRows: 0 }
      }
      await this.#end(intent, false)
      const outcome = intent.replaces === undefined ? 'read-again' : 'replay-again'
      return { batch: intent.id, outcome, removedRows: rows?.removed ?? 0 }
    })
  }

  async land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt> {
    return this.#queue.run(async () => {
      const { loader, ledger } = this.#options
      this.#requireNotHeld(spans)
      requireOffsets(spans, (source) => this.#offsets.get(source))
      if (encoded.rows > 0) {
        const begun = ledger.intent
        const isRepeatable = begun?.mode === 'replace-where'
        if (begun !== undefined && !isRepeatable && !isOf(begun, spans))
          throw new Error('another batch is being loaded')
        await this.#following(() =>
          loader.add({ spans, encoded }, begun, (intent) => this.#recordIntent(intent)),
        )
      }
      // A batch without rows only records where blobs start; an unfinished load keeps its intent.
      await this.#advance(spans, encoded.rows > 0 ? undefined : ledger.intent)
      this.#background.start(() => this.#tidy())
      return {}
    })
  }

  async #landUnits(units: readonly WrittenUnit[], loader: UnitLoader): Promise<UnitsReceipt> {
    return this.#queue.run(async () => {
      const { ledger } = this.#options
      // An earlier call that failed left it.
      if (ledger.intent !== undefined) await this.#settleOrHold(ledger.intent)
      const held = this.heldBlobs
      return landUnitGroups(units, {
        files: loader.files,
        limits: loader.limits,
        offsetOf: (source) => this.#offsets.get(source),
        refusalOf: ({ spans }) => {
          const span = spans.find(({ blob }) => held.has(blob))
          return span && `a load of ${span.blob} is unclear: see tailrace intent show`
        },
        land: (group) => this.#landGroup(group, loader),
        onLanded: () => this.#background.start(() => this.#tidy()),
      })
    })
  }

  async #landGroup(group: UnitGroup, loader: UnitLoader): Promise<boolean> {
    try {
      if (group.rows > 0)
        await this.#following(() => loader.add(group, (intent) => this.#recordIntent(intent)))
    } catch (error) {
      if (error instanceof CommitFencedError) return false
      // Only mode replace-where: a commit with another state directory has landed the units and removed their files. Mode
      // copy-into reports missing files as an unclear load.
      if (isMissingStagedFile(error)) return false
      throw error
    }
    await this.#advance(group.spans, undefined)
    return true
  }

  /** Takes the offsets of a CommitFencedError over, so that nothing is landed again. */
  async #following(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof CommitFencedError)) throw error
      for (const { span } of error.fenced) this.#shared.set(generationKey(span), span)
      const ends = error.fenced.map(({ span, landedTo }) => ({ ...landedBy(span), offset: landedTo }))
      // The rest of the batch is read again, as another batch, so its intent ends.
      await this.#moveTo(ends, undefined)
      throw error
    }
  }

  async #refresh(): Promise<void> {
    const { loader, ledger } = this.#options
    await this.#queue.run(async () => {
      const ends = this.#shared.size > 0 ? await loader.landedOf?.([...this.#shared.values()]) : undefined
      if (ends !== undefined) await this.#moveTo(ends, ledger.intent)
    })
  }

  /** Moves offsets to the ends of rows of other processes; none is moved back. */
  async #moveTo(ends: readonly LandedOffset[], intent: LoadIntent | undefined): Promise<void> {
    const moved = ends.filter((end) => end.offset > (this.#offsets.get(end) ?? 0))
    if (moved.length === 0) return
    await this.#advance(
      moved.map(({ offset, ...source }) => ({ ...source, start: 0, end: offset })),
      intent,
    )
  }

  async #tidy(): Promise<void> {
    const { loader } = this.#options
    await loader.tidy()
    await loader.units?.files.removeExpired()
  }

  async replace(
    span: Span,
    encoded: readonly EncodedBatch[],
  ): Promise<CommitReceipt & { readonly removedRows: number }> {
    return this.#queue.run(async () => {
      const { loader, ledger } = this.#options
      this.#requireNotHeld([span])
      try {
        const removedRows = await loader.replace(span, encoded, (intent) => this.#recordIntent(intent))
        await ledger.record(this.#offsets, undefined)
        return { removedRows }
      } catch (error) {
        // Nothing was changed yet, so the replay must not stop the next start.
        if (isTailraceError(error, 'STATEMENT_FAILED') && ledger.intent?.replaces?.oldRows === 'remain') {
          await ledger.record(this.#offsets, undefined)
        }
        throw error
      }
    })
  }

  /** Runs in the background: it frees space in the workspace, not on this machine, so the caller need not wait. */
  async releaseCaches(): Promise<void> {
    this.#background.start(() => this.#options.loader.reclaim())
  }

  async close(): Promise<void> {
    await this.#queue.idle()
    await this.#background.closeAfter(this.#options.close)
  }

  /** Settles the load of an earlier process, or leaves it to a person: its blobs are then held, and the others land. */
  async #settleOrHold(intent: LoadIntent): Promise<void> {
    const { loader, ledger, mode, onSettled, onUnsettled } = this.#options
    // A mode without intents compares rows, so it adds none of a batch again.
    const comparesRows = intent.mode === 'replace-where' && mode === undefined
    if (intent.mode !== mode && !comparesRows) {
      const visibly = intent.mode === 'replace-where' ? ', while no row filter hides rows from it' : ''
      throw new TailraceError(
        'LOAD_UNCLEAR',
        `An unfinished batch was loaded in mode ${intent.mode}, and only that mode can complete it: start once with sink.mode ${intent.mode}${visibly}.`,
        { context: { batch: intent.id } },
      )
    }
    try {
      const isDone =
        !comparesRows && (await loader.settle(intent, (next) => this.#recordIntent(next))) === 'done'
      await this.#end(intent, isDone)
      onSettled(intent, isDone)
    } catch (error) {
      if (!isTailraceError(error, 'LOAD_UNCLEAR') && !isTailraceError(error, 'STATEMENT_FAILED')) throw error
      this.#unsettledBecause.set(intent.id, error)
      // Settling a replay may have recorded its next step.
      const last = ledger.intent?.id === intent.id ? ledger.intent : intent
      await ledger.record(this.#offsets, undefined, [...without(ledger.unsettled, intent), last])
      onUnsettled(intent, error)
    }
  }

  /** Ends a load of an earlier process: its rows are all in the table, or none is. */
  async #end(intent: LoadIntent, isDone: boolean): Promise<void> {
    const unsettled = without(this.#options.ledger.unsettled, intent)
    await this.#advance(isDone && intent.replaces === undefined ? intent.spans : [], undefined, unsettled)
  }

  /** @throws LOAD_UNCLEAR for a range of a blob that is held */
  #requireNotHeld(spans: readonly Span[]): void {
    const held = this.heldBlobs
    for (const { blob } of spans) {
      const error = held.get(blob)
      if (error !== undefined) throw error
    }
  }

  async #recoverOffsets(): Promise<void> {
    const { loader, ledger, landsBlob, onOffsetsRecovered } = this.#options
    const found = (await loader.landedByRows()).filter(({ blob }) => landsBlob(blob))
    if (found.length === 0) return
    for (const landed of found) this.#offsets.set(landed)
    await ledger.record(this.#offsets, undefined)
    onOffsetsRecovered(found.length)
  }

  async #recordIntent(intent: LoadIntent): Promise<void> {
    await this.#options.ledger.record(this.#offsets, intent)
  }

  /** Advances offsets in the ledger and in memory. After an error both are unchanged, so memory is never ahead. */
  async #advance(
    spans: readonly Span[],
    intent: LoadIntent | undefined,
    unsettled?: readonly LoadIntent[],
  ): Promise<void> {
    const before = spans.map((span) => [span, this.#offsets.get(span)] as const)
    for (const span of spans) this.#offsets.set(landedBy(span))
    try {
      await this.#options.ledger.record(this.#offsets, intent, unsettled)
    } catch (error) {
      for (const [span, offset] of before) {
        if (offset === undefined) this.#offsets.delete(span)
        else this.#offsets.set({ ...landedBy(span), offset })
      }
      throw error
    }
  }
}

function without(intents: readonly LoadIntent[], left: LoadIntent | undefined): readonly LoadIntent[] {
  return intents.filter(({ id }) => id !== left?.id)
}

/** @throws USAGE */
function chosen(unsettled: readonly LoadIntent[], id: string | undefined): LoadIntent {
  const found = id === undefined ? unsettled : unsettled.filter((intent) => intent.id === id)
  const [intent] = found
  if (intent !== undefined && found.length === 1) return intent
  const ids = unsettled.map((one) => one.id).join(', ')
  throw new TailraceError(
    'USAGE',
    found.length > 1
      ? `There are ${found.length} unsettled loads: name one of them, ${ids}.`
      : `There is no unsettled load${id === undefined || ids === '' ? '' : ` ${id}: expected one of ${ids}`}.`,
  )
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
