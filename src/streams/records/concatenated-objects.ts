import { latin1AsText } from '../../records.ts'
import { outlineOf, type ValuePlace } from './line-outline.ts'

/**
 * Finds the JSON objects that stand on one line without a newline between them.
 *
 * @param line UTF-8 bytes, one character per byte (latin1)
 * @returns the places of at least two objects, `undefined` when the line is anything else, or `too-many`
 */
export function concatenatedObjects(line: string): readonly ValuePlace[] | undefined | 'too-many' {
  const { objects, exceeded } = outlineOf(line)
  if (exceeded === 'records') return 'too-many'
  if (objects === undefined || objects.length < 2) return undefined
  try {
    for (const { start, end } of objects) JSON.parse(latin1AsText(line.slice(start, end)))
  } catch {
    return undefined
  }
  return objects
}
