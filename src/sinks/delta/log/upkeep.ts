import type { Clock } from '../../../clock.ts'
import type { CheckpointPlan } from './checkpoint-query.ts'
import { type CheckpointContext, dueCheckpoint, writeCheckpoint } from './checkpoint-writer.ts'
import { cleanLog, cleanupRules } from './cleanup.ts'
import type { TableState } from './state.ts'

export interface LogUpkeepOptions extends CheckpointContext {
  readonly clock: Clock
  /** Called when a checkpoint could not be written or the log could not be cleaned; the table stays intact. */
  readonly onCheckpointFailed?: ((error: unknown) => void) | undefined
}

/** Keeps a table's log short: writes a checkpoint every few commits and removes expired log files before it. */
export class LogUpkeep {
  readonly #options: LogUpkeepOptions
  #work: Promise<void> | undefined
  #triedVersion = -1
  /** The cutoff of the last complete cleanup. Cutoffs fall on midnights, so there is one cleanup a day. */
  #cleanedToMs = Number.NEGATIVE_INFINITY

  constructor(options: LogUpkeepOptions) {
    this.#options = options
  }

  /** Starts due work in the background after a commit; does nothing while earlier work is still running. */
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

  /** Waits until the running work ends. */
  async settle(): Promise<void> {
    await this.#work
  }

  async #run(plan: CheckpointPlan, state: TableState): Promise<void> {
    // A separate connection: on the encoder's own, a batch would wait until a large checkpoint is written.
    const engine = await this.#options.engine.connect()
    try {
      const nowMs = this.#options.clock.now()
      await writeCheckpoint(plan, { ...this.#options, engine }, nowMs)
      state.noteCheckpoint(plan.version)
      const rules = cleanupRules(plan.protocol, plan.metaData, nowMs)
      if (rules === undefined || rules.cutoffMs <= this.#cleanedToMs) return
      // Set before the cleanup: a failing one would otherwise be repeated at every checkpoint of the day.
      this.#cleanedToMs = rules.cutoffMs
      const clean = await cleanLog({ storage: this.#options.storage, engine }, rules, nowMs)
      // Files remain, so the next checkpoint continues the cleanup.
      if (!clean) this.#cleanedToMs = Number.NEGATIVE_INFINITY
    } finally {
      await engine.close()
    }
  }
}
