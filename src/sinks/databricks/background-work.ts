import type { Clock } from '../../clock.ts'

/** Longest wait of `closeAfter`, in milliseconds. */
const closeMs = 5_000

/** Work that a committer does not wait for, such as the removal of old files: one piece at a time. */
export class BackgroundWork {
  readonly #clock: Clock
  #underWay: Promise<void> | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Starts work, unless some is under way. The work reports its own failures. */
  start(work: () => Promise<void>): void {
    this.#underWay ??= work().finally(() => {
      this.#underWay = undefined
    })
  }

  /**
   * Closes what the work uses, once the work has ended: short runs clean up too. It does not wait long, because the
   * workspace may be unreachable.
   */
  async closeAfter(close: () => Promise<void>): Promise<void> {
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(closeMs, resolve)
    })
    await Promise.race([this.#underWay, late])
    cancel()
    await close()
    await this.#underWay
  }
}
