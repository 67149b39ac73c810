import { jsonParser, type Token } from 'stream-json/parser.js'

/** Where one of several values on a line lies, in characters. */
export interface ObjectPlace {
  readonly start: number
  readonly end: number
}

/**
 * Finds the JSON objects that stand on one line without a newline between them.
 *
 * stream-json's concatenated mode reads them; feeding it up to one closing brace at a time tells where each
 * object ends, because the parser reports what is complete in what it was given.
 *
 * @returns the places of at least two objects, or `undefined` when the line is anything else
 */
export function concatenatedObjects(line: string): readonly ObjectPlace[] | undefined {
  // Strings are not packed: only structure matters, and a long string must not be built twice.
  const parse = jsonParser({ jsonStreaming: true, packValues: false, streamValues: false })
  const places: ObjectPlace[] = []
  let depth = 0
  let start = 0
  try {
    for (let from = 0; from < line.length; ) {
      const brace = line.indexOf('}', from)
      if (brace < 0) {
        // Only white space may follow the last object.
        if (line.slice(from).trim() !== '') return undefined
        break
      }
      for (const token of tokensOf(parse(line.slice(from, brace + 1)))) {
        if (token.name === 'startObject' || token.name === 'startArray') depth += 1
        else if (token.name === 'endObject' || token.name === 'endArray') depth -= 1
        else if (depth === 0) return undefined
        if (depth === 0 && token.name === 'endArray') return undefined
        if (depth === 0 && token.name === 'endObject') {
          places.push({ start, end: brace + 1 })
          start = brace + 1
        }
      }
      from = brace + 1
    }
  } catch {
    return undefined
  }
  return depth === 0 && places.length > 1 ? places : undefined
}

/** The parser answers with one of stream-chain's markers: several values, or none. */
function tokensOf(answer: unknown): readonly Token[] {
  if (typeof answer !== 'object' || answer === null || !('values' in answer)) return []
  return answer.values as readonly Token[]
}
