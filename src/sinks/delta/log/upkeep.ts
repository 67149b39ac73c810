import type { Clock } from '../../../clock.ts'
import {
  type CheckpointContext,
  type CheckpointPlan,
  dueCheckpoint,
  writeCheckpoint,
} from './checkpoint-writer.ts'
import { cleanLog, cleanupRules } from './cleanup.ts'
import type { TableState } from './state.ts'

export interface LogUpkeepOptions extends CheckpointContext {
  readonly clock: Clock
  /** Hears of a checkpoint that could not be written or a log that could not be cleaned; the table is whole. */
  readonly onCheckpointFailed?: ((error: unknown) => void) | undefined
}

/** Keeps a table's log short: a checkpoint every few commits, and the removal of what expired before it. */
export class LogUpkeep {
  readonly #options: LogUpkeepOptions
  #work: Promise<void> | undefined
  #triedVersion = -1
  /** The cutoff of the last cleanup: it moves at a midnight, so there is one a day, in portions if it is large. */
  #cleanedToMs = Number.NEGATIVE_INFINITY

  constructor(options: LogUpkeepOptions) {
    this.#options = options
  }

  /** Begins what is due after a commit, which does not wait for it; one thing at a time. */
  start(state: TableState): void {
    if (this.#work !== undefined) return
    const plan = dueCheckpoint(state, this.#triedVersion)
    if (plan === undefined) return
    this.#triedVersion = plan.version
    this.#work = this.#run(plan, state)
      .catch((error: unknown) => this.#options.onCheckpointFailed?.(error))
      .finally(() => {
        this.#work = undefined
      })
  }

  /** Waits for what was begun. */
  async settle(): Promise<void> {
    await this.#work
  }

  async #run(plan: CheckpointPlan, state: TableState): Promise<void> {
    // Through the encoder's own connection, a batch would wait until a large checkpoint is written.
    const engine = await this.#options.engine.connect()
    try {
      const nowMs = this.#options.clock.now()
      await writeCheckpoint(plan, { ...this.#options, engine }, nowMs)
      state.noteCheckpoint(plan.version)
      const rules = cleanupRules(plan.protocol, plan.metaData, nowMs)
      if (rules === undefined || rules.cutoffMs <= this.#cleanedToMs) return
      // One that fails would fail again at each of the day's checkpoints.
      this.#cleanedToMs = rules.cutoffMs
      const clean = await cleanLog({ storage: this.#options.storage, engine }, rules, nowMs)
      if (!clean) this.#cleanedToMs = Number.NEGATIVE_INFINITY
    } finally {
      await engine.close()
    }
  }
}
