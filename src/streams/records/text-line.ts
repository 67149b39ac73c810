import { anyLevelWord, unevenWord } from '../../tables/postgres/levels.ts'
import { datedProgramLine, klogLine, undatedProgramLine } from '../../tables/postgres/program-line.ts'
import { csvlogLine, decodedText } from '../../tables/postgres/shapes/csvlog-line.ts'

// The prefix of each line in the CRI log format, and that of `kubectl logs --timestamps`. The runtime marks a part of a
// longer line with P: such a part is no record.
const runtimePrefix =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (?:(stdout|stderr) F )?(?!std(?:out|err) P )/

// PostgreSQL ends a line's prefix with the level, a colon and two spaces, in nearly every language.
const datedLine = new RegExp(
  `^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)? (?:[A-Z][A-Za-z]{1,5}|[+-]\\d\\d(?::?\\d\\d)*)\\b.{0,1000}?(?:: {2}|[^A-Za-z](?:${unevenWord}) ?:)`,
)

// Behind any other prefix, or none, only a known level.
const endsWithLevel = new RegExp(`(?:^|[^A-Za-z])(?:${anyLevelWord}) ?$`)
const maxPrefixChars = 1_000

// A part of JSON may quote a line of the server.
const beginsLikeJson = /^\s*[[,]?\s*[{"]/

// The server begins each further line of a message with a tab. A key directly behind tabs is a line of an indented object.
const furtherLine = /^\t(?!\t*"[^"]*" ?:|\t+[{}[\]])/

// The names of the source that `kubectl logs --prefix` and `docker compose logs` put before each line.
const podPrefix = /^\[pod\/([^/\s\]]+)\/[^\s\]]+\] /
const servicePrefix = /^([A-Za-z0-9][\w.-]*) +\| /

const isoTime = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)`
const month = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec'
// The heads of syslog in files: time, host, program and process, as of RFC 3164, of rsyslog and the journal with times of
// ISO 8601, and of Heroku, which names no host; as of RFC 3164 without a process; and as of RFC 5424, whose text may begin
// with a byte order mark.
const syslogHeads = [
  `^(?:<\\d{1,3}>)?(?:(?:${month}) [ \\d]\\d \\d\\d:\\d\\d:\\d\\d|(${isoTime})) (?:([\\w.:-]+) )?([\\w.@/-]+)\\[(?:[\\w-]+\\.)?(\\d+)\\]: `,
  `^(?:<\\d{1,3}>)?(?:${month}) [ \\d]\\d \\d\\d:\\d\\d:\\d\\d() ([\\w.:-]+) ([\\w.@/-]+)(): `,
  `^<\\d{1,3}>1 (?:(${isoTime})|-) (\\S+) (\\S+) (?:-|(?:[\\w-]+\\.)?(\\d+)) \\S+ (?:-|(?:\\[[^\\]]*\\])+) \\ufeff?`,
].map((head) => new RegExp(head))

// The time that runit's logger writes before each line, in UTC.
const svlogdHead = /^(\d{4}-\d\d-\d\d)_(\d\d:\d\d:\d\d\.\d{5}) /

const colors = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

// What pg_recvlogical writes with the plugin test_decoding.
const decodedLine = new RegExp(decodedText)

const csvLine = new RegExp(csvlogLine)
const programLine = new RegExp(`${datedProgramLine}|${klogLine}`)
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
  build: Build = (begin, text, end) => `${begin}${JSON.stringify(text)}${end}`,
): string | undefined {
  const syslog = syslogMatch(line)
  if (syslog !== undefined) {
    const [head, time, hostname, program, process] = syslog
    const others = {
      SYSLOG_IDENTIFIER: program,
      SYSLOG_PID: process || undefined,
      hostname,
      time: time || undefined,
    }
    return build('{"message":', line.slice(head.length), `,${JSON.stringify(others).slice(1)}`)
  }
  const named = podPrefix.exec(line) ?? servicePrefix.exec(line)
  if (named === null) return runtimeRecord(line, build)
  const [head, hostname] = named
  const text = line.slice(head.length)
  const end = `,${JSON.stringify({ hostname }).slice(1)}`
  if (text.startsWith('{')) return build('{"message":', text, end)
  return runtimeRecord(text, (begin, inner, rest) =>
    build(begin, inner, rest === '}' ? end : `${rest.slice(0, -1)}${end}`),
  )
}

function syslogMatch(line: string): RegExpExecArray | undefined {
  for (const head of syslogHeads) {
    const found = head.exec(line)
    if (found !== null) return found
  }
  return undefined
}

type Build = (begin: string, text: string, end: string) => string

/** The record of a line that may begin with the prefix of a container runtime. */
function runtimeRecord(line: string, build: Build): string | undefined {
  const svlogd = svlogdHead.exec(line)
  if (svlogd !== null) {
    const text = line.slice(svlogd[0].length)
    if (!isServerLine(text) && !containerLine.test(text.replace(colors, ''))) return undefined
    return build('{"message":', text, `,${JSON.stringify({ time: `${svlogd[1]}T${svlogd[2]}Z` }).slice(1)}`)
  }
  const runtime = runtimePrefix.exec(line)
  const text = runtime === null ? line : line.slice(runtime[0].length)
  const isServer = isServerLine(text)
  // A program may begin its lines with such a time itself.
  if (!isServer && runtime?.[2] === undefined && programLine.test(line))
    return build('{"message":', line, '}')
  if (isServer || (runtime !== null && containerLine.test(text.replace(colors, '')))) {
    if (runtime === null) return build('{"message":', text, '}')
    const others = JSON.stringify({ stream: runtime[2], time: runtime[1] })
    return build('{"log":', text, `,${others.slice(1)}`)
  }
  return runtime !== null && text.startsWith('{') ? text : undefined
}

function isServerLine(text: string): boolean {
  if (decodedLine.test(text)) return true
  if (datedLine.test(text) || furtherLine.test(text) || csvLine.test(text)) return true
  const level = text.slice(0, maxPrefixChars).indexOf(':  ')
  return level > 0 && endsWithLevel.test(text.slice(0, level)) && !beginsLikeJson.test(text)
}
