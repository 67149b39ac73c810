// The prefix of each line in the CRI log format, and that of `kubectl logs --timestamps`. The runtime marks a part of a
// longer line with P: such a part is no record.
const runtimePrefix =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (?:(stdout|stderr) F )?(?!std(?:out|err) P )/

// PostgreSQL ends a line's prefix with the level, a colon and two spaces, in every language.
const serverLine =
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:[A-Z][A-Za-z]{1,5}|[+-]\d\d(?::?\d\d)*)\b.{0,1000}?: {2}/

/**
 * Converts a line that is no JSON by itself: a line of PostgreSQL's text log, or one with the prefix of a container
 * runtime before such a line or before a record.
 *
 * @param build puts a JSON object together of its beginning, a text to quote, and its end
 * @returns the text of a JSON object; `undefined` for any other line
 */
export function textLineRecord(
  line: string,
  build = (begin: string, text: string, end: string): string => `${begin}${JSON.stringify(text)}${end}`,
): string | undefined {
  const runtime = runtimePrefix.exec(line)
  const text = runtime === null ? line : line.slice(runtime[0].length)
  if (serverLine.test(text)) {
    if (runtime === null) return build('{"message":', text, '}')
    const others = JSON.stringify({ stream: runtime[2], time: runtime[1] })
    return build('{"log":', text, `,${others.slice(1)}`)
  }
  return runtime !== null && text.startsWith('{') ? text : undefined
}
