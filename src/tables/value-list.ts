import { jsonPath } from './expressions/json.ts'
import type { ValueAt } from './shapes/shape.ts'
import { sqlString } from './sql.ts'

/** Values of a JSON text as one list column: collects the paths that are asked for, then extracts them at once. */
export class ValueList {
  readonly #column: string
  readonly #paths: string[] = []

  /** @param column name of the list column */
  constructor(column: string) {
    this.#column = column
  }

  /** Asks for a value; the SQL refers to the list column. */
  readonly at: ValueAt = (...keys) => {
    const path = jsonPath(keys)
    if (!this.#paths.includes(path)) this.#paths.push(path)
    return `${this.#column}[${this.#paths.indexOf(path) + 1}]`
  }

  get isEmpty(): boolean {
    return this.#paths.length === 0
  }

  /** SQL of the list; `text` must be well-formed JSON. Ask for every value before. */
  extract(text: string): string {
    return `json_extract_string(${text}, [${this.#paths.map(sqlString).join(', ')}])`
  }

  /** Paths of the values that a piece of SQL refers to. */
  pathsIn(sql: string): string[] {
    const places = [...sql.matchAll(new RegExp(`\\b${this.#column}\\[(\\d+)\\]`, 'g'))].map(([, place]) =>
      Number(place),
    )
    return [...new Set(places)].map((place) => this.#paths[place - 1]!)
  }
}
