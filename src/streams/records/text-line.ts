import { anyLevelWord } from '../../tables/postgres/levels.ts'
import { datedProgramLine, undatedProgramLine } from '../../tables/postgres/program-line.ts'

// The prefix of each line in the CRI log format, and that of `kubectl logs --timestamps`. The runtime marks a part of a
// longer line with P: such a part is no record.
const runtimePrefix =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (?:(stdout|stderr) F )?(?!std(?:out|err) P )/

// PostgreSQL ends a line's prefix with the level, a colon and two spaces, in every language.
const datedLine =
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:[A-Z][A-Za-z]{1,5}|[+-]\d\d(?::?\d\d)*)\b.{0,1000}?: {2}/

// Behind any other prefix, or none, only a known level.
const endsWithLevel = new RegExp(`(?:^|[^A-Za-z])(?:${anyLevelWord}) ?$`)
const maxPrefixChars = 1_000

// A part of JSON may quote a line of the server.
const beginsLikeJson = /^\s*[[,]?\s*[{"]/

// The server begins each further line of a message with a tab. A key directly behind tabs is a line of an indented object.
const furtherLine = /^\t(?!\t*"[^"]*" ?:|\t+[{}[\]])/

const programLine = new RegExp(datedProgramLine)
const containerLine = new RegExp(`${datedProgramLine}|${undatedProgramLine}`)

/**
 * Converts a line that is no JSON by itself: a line of PostgreSQL's text log or of a program beside it, or one with the
 * prefix of a container runtime before such a line or before a record.
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
  const isServer = isServerLine(text)
  // A program may begin its lines with such a time itself.
  if (!isServer && runtime?.[2] === undefined && programLine.test(line))
    return build('{"message":', line, '}')
  if (isServer || (runtime !== null && containerLine.test(text))) {
    if (runtime === null) return build('{"message":', text, '}')
    const others = JSON.stringify({ stream: runtime[2], time: runtime[1] })
    return build('{"log":', text, `,${others.slice(1)}`)
  }
  return runtime !== null && text.startsWith('{') ? text : undefined
}

function isServerLine(text: string): boolean {
  if (datedLine.test(text) || furtherLine.test(text)) return true
  const level = text.slice(0, maxPrefixChars).indexOf(':  ')
  return level > 0 && endsWithLevel.test(text.slice(0, level)) && !beginsLikeJson.test(text)
}
