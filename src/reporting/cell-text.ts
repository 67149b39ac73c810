import stringWidth from 'string-width'
import { escapeText } from './escape-text.ts'

const segmenter = new Intl.Segmenter()

/** @returns the columns that a text takes on a terminal: East Asian characters and emoji take two, combining ones none */
export function displayWidth(text: string): number {
  return isAscii(text) ? text.length : stringWidth(text)
}

/**
 * @param maxWidth in columns of the terminal; undefined: the text is not cut
 * @returns the beginning of a text that fits, with `…` at the end if something was cut
 */
export function cutText(text: string, maxWidth: number | undefined): string {
  if (maxWidth === undefined || displayWidth(text) <= maxWidth) return text
  if (isAscii(text)) return `${text.slice(0, maxWidth - 1)}…`
  let start = ''
  let width = 0
  for (const { segment } of segmenter.segment(text)) {
    width += stringWidth(segment)
    if (width > maxWidth - 1) break
    start += segment
  }
  return `${start}…`
}

/** @returns the text of a value in a table: one line without control characters. The text `NULL` has quotes, unlike NULL. */
export function cellText(value: unknown, maxWidth: number | undefined): string {
  if (value === undefined) return ''
  if (value === null) return 'NULL'
  if (value === 'NULL') return "'NULL'"
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // No character of the rest can be seen, and a cell may have megabytes.
  const start = maxWidth !== undefined && text.length > 20 * maxWidth ? text.slice(0, 20 * maxWidth) : text
  return cutText(escapeText(start).replaceAll('\n', '↵').replaceAll('\t', '⇥'), maxWidth)
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII begins with control characters.
  return /^[\x00-\x7f]*$/.test(text)
}
