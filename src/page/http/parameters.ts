import type { HistogramRequest, RecordFilter, RowPlace } from '../api.ts'
import { type ReportRequest, type ReportSectionId, reportSectionIds } from '../api-report.ts'
import { RequestFailure } from './failures.ts'

/** Values of one list. */
const maxValues = 100
const maxCharacters = 1_000

/** Years 1 to 9999, so that every instant has a text. */
const maxInstantMs = 253_402_300_799_999

/** Reads the parameters of a query string. Every method throws RequestFailure BAD_REQUEST. */
export class Parameters {
  readonly #query: URLSearchParams

  constructor(url: string) {
    this.#query = new URL(url).searchParams
  }

  text(name: string): string | undefined {
    const [first, ...others] = this.texts(name)
    if (others.length > 0) throw badRequest(name, `${others.length + 1} values`, 'one')
    return first
  }

  requiredText(name: string): string {
    const text = this.text(name)
    if (text === undefined) throw badRequest(name, 'nothing', 'a value')
    return text
  }

  texts(name: string): readonly string[] {
    const values = this.#query.getAll(name)
    if (values.length > maxValues) throw badRequest(name, `${values.length} values`, `at most ${maxValues}`)
    const long = values.find(({ length }) => length > maxCharacters)
    if (long !== undefined) throw badRequest(name, `${long.length} characters`, `at most ${maxCharacters}`)
    return values
  }

  wholeNumber(name: string, min: number, max: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min || value > max)
      throw badRequest(name, JSON.stringify(text), `a whole number from ${min} to ${max}`)
    return value
  }

  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name)
    const word = words.find((one) => one === text)
    if (text !== undefined && word === undefined)
      throw badRequest(name, JSON.stringify(text), `one of ${words.join(', ')}`)
    return word
  }

  filter(): RecordFilter {
    return {
      ...this.#range(),
      table: this.texts('table'),
      server: this.texts('server'),
      severity: this.texts('severity'),
      event: this.texts('event'),
      database: this.texts('database'),
      user: this.texts('user'),
      sqlstate: this.texts('sqlstate'),
      session: this.texts('session'),
      q: this.text('q'),
    }
  }

  histogram(): HistogramRequest {
    return {
      buckets: this.wholeNumber('buckets', 1, 500),
      by: this.choice('by', ['severity', 'server', 'event']),
      before: this.text('before'),
    }
  }

  place(): RowPlace {
    const offset = this.wholeNumber('offset', 0, Number.MAX_SAFE_INTEGER)
    const index = this.wholeNumber('index', 0, Number.MAX_SAFE_INTEGER)
    if (offset === undefined) throw badRequest('offset', 'nothing', 'a value')
    return {
      table: this.requiredText('table'),
      blob: this.requiredText('blob'),
      generation: this.requiredText('generation'),
      offset,
      index: index ?? 0,
    }
  }

  report(): ReportRequest {
    const sections = this.texts('section').map((text): ReportSectionId => {
      const id = reportSectionIds.find((one) => one === text)
      if (id === undefined)
        throw badRequest('section', JSON.stringify(text), `one of ${reportSectionIds.join(', ')}`)
      return id
    })
    return {
      ...this.#range(),
      table: this.texts('table'),
      compare: this.choice('compare', ['previous', 'week']),
      section: sections,
    }
  }

  #range(): Pick<RecordFilter, 'fromMs' | 'toMs'> {
    const fromMs = this.wholeNumber('fromMs', 0, maxInstantMs)
    const toMs = this.wholeNumber('toMs', 0, maxInstantMs)
    if (fromMs !== undefined && toMs !== undefined && toMs <= fromMs)
      throw badRequest('toMs', String(toMs), `more than fromMs, ${fromMs}`)
    return { fromMs, toMs }
  }
}

export function badRequest(name: string, found: string, expected: string): RequestFailure {
  return new RequestFailure('BAD_REQUEST', `${name}: found ${found}, expected ${expected}.`)
}
