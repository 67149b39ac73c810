import { type FoundRecord, recordKey } from './found-record.ts'

/** A match, or a record of its session before or after it. */
export interface ShownRecord {
  readonly record: FoundRecord
  readonly isMatch: boolean
}

/**
 * Selects the matches and the records around them from the records of sessions, which come session by session in the
 * order of their time. Holds only the records to show and those that may precede a match.
 */
export class SessionContext {
  readonly #keys: ReadonlySet<string>
  readonly #around: number
  /** The last records of the session, none of them shown yet. */
  #before: FoundRecord[] = []
  #session: FoundRecord['session_id'] = null
  /** Whether a record since the last group, or the beginning of the session, is not shown. */
  #hasGap = true
  /** Records to show after the last match. */
  #left = 0
  readonly #groups: ShownRecord[][] = []

  /**
   * @param matches the keys of the matches
   * @param around the records to show before and after each
   */
  constructor(matches: ReadonlySet<string>, around: number) {
    this.#keys = matches
    this.#around = around
  }

  /** Records that follow each other without a gap, session by session. */
  get groups(): readonly (readonly ShownRecord[])[] {
    return this.#groups
  }

  add(record: FoundRecord): void {
    if (record.session_id !== this.#session) {
      this.#session = record.session_id
      this.#before = []
      this.#left = 0
      this.#hasGap = true
    }
    if (this.#keys.has(recordKey(record))) {
      if (this.#hasGap) this.#groups.push([])
      for (const one of this.#before) this.#show(one, false)
      this.#show(record, true)
      this.#before = []
      this.#left = this.#around
      this.#hasGap = false
    } else if (this.#left > 0) {
      this.#left -= 1
      this.#show(record, false)
    } else {
      this.#before.push(record)
      if (this.#before.length <= this.#around) return
      this.#before.shift()
      this.#hasGap = true
    }
  }

  #show(record: FoundRecord, isMatch: boolean): void {
    this.#groups.at(-1)?.push({ record, isMatch })
  }
}
