import { TailraceError } from '../../src/errors.ts'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { generationKey } from '../../src/records.ts'
import {
  fencedState,
  handedOverState,
  type SpanRow,
} from '../../src/sinks/databricks/transactions/transaction-sql.ts'
import type { Statement, StatementRow } from '../../src/sinks/databricks/warehouse/warehouse.ts'

/** A type alias, because only that is a record of anything. */
type OffsetRow = {
  readonly source_blob: string
  readonly source_generation: string
  readonly landed_to: number
  readonly mark: string | null
  readonly epoch: number
  readonly run_id: string
  readonly batch_id: string
}

/** The rows of `tailrace_offsets`, and what the transactions of transaction-sql.ts do with them. */
export class MemoryOffsets {
  readonly #rows = new Map<string, OffsetRow>()
  readonly #gates = new Set<string>()

  get landed(): LandedOffsets {
    const all = new LandedOffsets()
    for (const { source_blob: blob, source_generation: generation, landed_to: offset } of this.#rows.values())
      all.set({ blob, generation, offset })
    return all
  }

  read(): readonly StatementRow[] {
    const gates = [...this.#gates].map((name) => ({ source_blob: '', source_generation: name, landed_to: 0 }))
    return [...gates, ...this.#rows.values()]
  }

  begin({ parameters = {} }: Statement): void {
    for (const span of spansOf(parameters))
      if (!this.#rows.has(generationKey(span))) this.#move(span, parameters)
    this.#gates.add(String(parameters.pipeline))
  }

  /** Moves the offsets of a batch after its rows were added, or does nothing. @throws as the transaction */
  land({ parameters = {} }: Statement, addRows: () => void): void {
    if (!this.#gates.has(String(parameters.pipeline))) throw signal(handedOverState)
    const spans = spansOf(parameters)
    if (spans.some((span) => this.#isFenced(span, parameters))) throw signal(fencedState)
    addRows()
    for (const span of spans) this.#move(span, parameters)
  }

  #isFenced(span: SpanRow, { epoch, run }: NonNullable<Statement['parameters']>): boolean {
    const found = this.#rows.get(generationKey(span))
    if (found === undefined) return span.is_known
    return (
      found.landed_to !== span.start_offset ||
      found.epoch > Number(epoch) ||
      (found.epoch === Number(epoch) && found.run_id !== run)
    )
  }

  #move(span: SpanRow, { epoch, run, batch }: NonNullable<Statement['parameters']>): void {
    this.#rows.set(generationKey(span), {
      source_blob: span.blob,
      source_generation: span.generation,
      landed_to: span.end_offset,
      mark: span.mark,
      epoch: Number(epoch),
      run_id: String(run),
      batch_id: String(batch),
    })
  }
}

function spansOf({ spans }: NonNullable<Statement['parameters']>): readonly SpanRow[] {
  return JSON.parse(String(spans)) as SpanRow[]
}

function signal(sqlState: string): TailraceError {
  return new TailraceError('STATEMENT_FAILED', 'simulated SIGNAL', {
    context: { errorClass: 'USER_RAISED_EXCEPTION', sqlState, executed: 'failed' },
  })
}
