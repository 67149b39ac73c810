// Control characters except newline and tab, which tables and logs use; format characters, such as those that change the
// direction of writing; line and paragraph separators; lone surrogates; and characters that a renderer may omit, in which
// text can be hidden.
const unsafe = /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Escapes characters that a terminal would execute, reorder or hide, as `\uXXXX` per UTF-16 unit.
 *
 * Within a JSON string, the escape means the same character, so the value of a JSON text does not change.
 */
export function escapeText(text: string): string {
  return text.replace(unsafe, escapeUnits)
}

function escapeUnits(character: string): string {
  return character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Escapes JSON for a program that prints its strings decoded: characters that JSON escapes stay escaped in the print,
 * except newlines and tabs.
 */
export function escapeDecodedJson(json: string): string {
  return escapeText(json).replace(/\\(u[0-9a-f]{4}|.)/gis, (escaped, code: string) =>
    isPrintable(code) ? escaped : `\\\\${code}`,
  )
}

/** @param code the characters after the backslash of a JSON escape */
function isPrintable(code: string): boolean {
  if (code.length === 1) return !'bfr'.includes(code)
  const character = String.fromCharCode(Number.parseInt(code.slice(1), 16))
  // A surrogate is not printable by itself. JSON escapes a pair only if its character is unsafe.
  return escapeText(character) === character
}
