// The format of test_decoding: https://www.postgresql.org/docs/current/test-decoding.html
const transaction = /^(?:BEGIN|COMMIT|PREPARE TRANSACTION|ROLLBACK PREPARED|COMMIT PREPARED)\b/
const change = /^table .{1,300}?: (?:INSERT|UPDATE|DELETE|TRUNCATE):/
const message = /^message: .{0,300}?content:/

/** @returns a change in the format of test_decoding with its values replaced; `undefined` for other text */
export function redactDecodedChange(text: string, replacement: string): string | undefined {
  if (transaction.test(text)) return text
  const content = message.exec(text)?.[0]
  if (content !== undefined) return content + replacement
  if (!change.test(text)) return undefined
  // `name[type]:value`. Only numbers and booleans are unquoted. A doubled quote splits a string into two matches, whose
  // replacements are joined afterwards.
  return text
    .replace(/'[^']*(?:'|$)/g, () => replacement)
    .replace(/\]:(?!(?:null|unchanged-toast-datum)(?:\s|$))\S+/g, () => `]:${replacement}`)
}
