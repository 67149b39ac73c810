import { throwIfCanceled } from './sql-holds.ts'

/** Runs the writes to one thing, such as a table, one after the other. */
export class WriteQueue {
  /** The end of the last write to each thing. */
  readonly #ends = new Map<string, Promise<void>>()

  /** @throws SqlFailure when the statement is canceled before its turn */
  async run<Result>(thing: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const earlier = this.#ends.get(thing) ?? Promise.resolve()
    const mine = earlier.then(() => {
      throwIfCanceled(signal)
      return work()
    })
    const ended = mine.then(
      () => {},
      () => {},
    )
    this.#ends.set(thing, ended)
    return mine
  }
}
