// The format of test_decoding: https://www.postgresql.org/docs/current/test-decoding.html
const transaction = /^(?:(?:BEGIN|COMMIT)|PREPARE TRANSACTION|ROLLBACK PREPARED|COMMIT PREPARED)\b/
const plainTransaction = /^(?:BEGIN|COMMIT)(?: \d{1,20})?(?: \(at [\d :.+-]{1,40}\))?$/
const change = /^table .{1,300}?: (?:INSERT|UPDATE|DELETE|TRUNCATE):/
const message = /^message: .{0,300}?content:/
/** The text in front of the first value of a change. */
const firstPart =
  /^ (?:old-key: |new-tuple: |\(no-|restart_seqs|cascade|(?:"(?:[^"]|""){1,128}"|[^\s"[\]']{1,128})\[)/

/**
 * @param isLine whether the text may be any line of a log, such as one from the middle of a statement
 * @returns a change in the format of test_decoding with its values replaced; `undefined` for other text
 */
export function redactDecodedChange(text: string, replacement: string, isLine: boolean): string | undefined {
  if ((isLine ? plainTransaction : transaction).test(text)) return text
  const content = message.exec(text)?.[0]
  if (content !== undefined) return content + replacement
  const head = change.exec(text)?.[0]
  if (head === undefined || (isLine && !firstPart.test(text.slice(head.length, head.length + 300))))
    return undefined
  // `name[type]:value`. Only numbers and booleans are unquoted. A doubled quote splits a string into two matches, whose
  // replacements are joined afterwards.
  return text
    .replace(/'[^']*(?:'|$)/g, () => replacement)
    .replace(/\]:(?!(?:null|unchanged-toast-datum)(?:\s|$))\S+/g, () => `]:${replacement}`)
}
