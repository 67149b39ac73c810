import { escapeText } from '../../reporting/escape-text.ts'

/**
 * @returns text for an element or an attribute in double quotes of HTML or SVG. Characters that are invisible or change
 *   the direction of writing are written out
 */
export function markupText(text: string): string {
  return escapeText(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
