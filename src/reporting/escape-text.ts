// Controls but the newline and the tab, which our own layout writes; format characters such as those that turn the
// direction of writing; line and paragraph separators; halves of surrogate pairs; and all that Unicode lets a renderer
// leave out, in which text can hide.
const unsafe = /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Makes characters visible that a terminal would execute, reorder or hide: each becomes `\uXXXX`, one per UTF-16 unit.
 *
 * Inside of a JSON string that is the same character, so JSON stays the same JSON.
 */
export function escapeText(text: string): string {
  return text.replace(unsafe, escapeUnits)
}

function escapeUnits(character: string): string {
  return character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Escapes JSON for a reader that prints its strings decoded: what JSON itself escapes stays escaped there too, newlines
 * and tabs apart.
 */
export function escapeDecodedJson(json: string): string {
  return escapeText(json).replace(/\\(u[0-9a-f]{4}|.)/gis, (escaped, code: string) =>
    isPrintable(code) ? escaped : `\\\\${code}`,
  )
}

/** @param code what stands behind the backslash of a JSON escape */
function isPrintable(code: string): boolean {
  if (code.length === 1) return !'bfr'.includes(code)
  const character = String.fromCharCode(Number.parseInt(code.slice(1), 16))
  // Half of a pair: the other half follows, and JSON has no reason to escape the two unless they are unsafe.
  return escapeText(character) === character
}
