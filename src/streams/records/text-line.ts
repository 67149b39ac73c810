// What the kubelet writes before each line of a container (the CRI's log format), and `kubectl logs --timestamps`. The
// runtime marks what it cut out of a longer line with P: such a piece is no record.
const runtimePrefix =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (?:(stdout|stderr) F )?(?!std(?:out|err) P )/

// The server ends a line's prefix with the level, a colon and two blanks, in every language.
const serverLine =
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:[A-Z][A-Za-z]{1,5}|[+-]\d\d(?::?\d\d)*)\b.{0,1000}?: {2}/

/**
 * The JSON object for a line of text that stands between those of JSON: of the server's text log, or with the prefix of
 * a container runtime before a record or such a line.
 *
 * @returns `undefined` for any other text
 */
export function textLineRecord(line: string): string | undefined {
  const runtime = runtimePrefix.exec(line)
  const text = runtime === null ? line : line.slice(runtime[0].length)
  if (serverLine.test(text)) {
    return JSON.stringify(
      runtime === null ? { message: text } : { log: text, stream: runtime[2], time: runtime[1] },
    )
  }
  return runtime !== null && text.startsWith('{') ? text : undefined
}
