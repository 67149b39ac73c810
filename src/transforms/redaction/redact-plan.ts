import { stringEnd } from '../../json.ts'
import { redactSql, sqlScanner } from './sql-literals.ts'

/** Properties of a plan whose text is a name or a keyword of the planner, with any characters. */
const nameProperties = new Set([
  'Node Type',
  'Parent Relationship',
  'Subplan Name',
  'Relation Name',
  'Schema',
  'Alias',
  'Index Name',
  'CTE Name',
  'Function Name',
  'Table Function Name',
  'Tuplestore Name',
  'Constraint Name',
  'Trigger Name',
  'Relation',
])

/** Elements of the XML format whose text is an expression even if it is only a number. */
const expressionElements = new Set(['Item', 'Cache-Key'])

const plainNumber = /^-?\d+(?:\.\d+)?$/

// The parts of the text format between expressions: costs, and lines of statistics.
const statistics = sqlScanner(
  /\((?:cost=\d|actual (?:time|rows)=\d)[\w=. ]{1,120}\)|^ {0,200}(?:Buffers|I\/O Timings|WAL|Rows Removed by [\w ]{1,40}|Heap (?:Fetches|Blocks)|Sort Method|Planning(?: Time)?|Execution Time|Batches|Buckets|Workers (?:Planned|Launched)|Worker \d+|Hits|(?:Peak )?Memory Usage|(?:Full-sort|Pre-sorted) Groups|Functions|Timing|Index Searches|Query Identifier|Disk Usage|Storage): [^\n"'$]{1,300}$/,
)

/**
 * Redacts a plan of auto_explain or EXPLAIN in any format: the text of the query and all expressions. Costs, times and
 * names are kept.
 *
 * Formats: https://www.postgresql.org/docs/current/sql-explain.html
 */
export function redactPlan(plan: string, replacement: string): string {
  const start = plan.trimStart()
  if (start.startsWith('<')) return xmlPlan(plan, replacement)
  const isQuoted = /^(?:[[{]|- |Query Text: "|Plan:)/.test(start)
  return isQuoted ? quotedPlan(plan, replacement) : redactSql(plan, { replacement, scanner: statistics })
}

function redactProperty(name: string, value: string, replacement: string): string {
  return nameProperties.has(name) ? value : redactSql(value, { replacement })
}

/**
 * Redacts JSON and YAML, which both write texts as JSON strings, and the planner's own numbers without quotes. The elements
 * of a list belong to the property before it.
 */
function quotedPlan(plan: string, replacement: string): string {
  let redacted = ''
  let property = ''
  let copied = 0
  for (let start = plan.indexOf('"'); start >= 0; start = plan.indexOf('"', copied)) {
    const end = stringEnd(plan, start)
    const before = plan.slice(copied, start)
    redacted += before
    copied = end
    const literal = plan.slice(start, end)
    if (/^\s{0,80}:/.test(plan.slice(end, end + 81))) {
      property = literal.slice(1, -1)
      redacted += literal
      continue
    }
    property = /([A-Z][\w /-]{0,60}):\s{0,80}(?:- )?$/.exec(before.slice(-160))?.[1] ?? property
    redacted += redactJsonString(
      literal,
      (value) => redactProperty(property, value, replacement),
      replacement,
    )
  }
  return redacted + plan.slice(copied)
}

function redactJsonString(literal: string, redact: (value: string) => string, replacement: string): string {
  try {
    return JSON.stringify(redact(JSON.parse(literal) as string))
  } catch {
    // A truncated string.
    return JSON.stringify(replacement)
  }
}

const entities: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
  '&quot;': '"',
  '&apos;': "'",
  '&#x0d;': '\r',
}

function xmlPlan(plan: string, replacement: string): string {
  return plan.replace(
    /<([\w-]{0,60})([^<>]*)>([^<]*)/g,
    (all: string, tag: string, attributes: string, text: string) => {
      if (text.trim() === '') return all
      const value = text.replace(/&(?:lt|gt|amp|quot|apos|#x0d);/g, (entity) => entities[entity] ?? entity)
      if (plainNumber.test(value) && !expressionElements.has(tag)) return all
      const redacted = redactProperty(tag.replaceAll('-', ' '), value, replacement)
      const escaped = redacted.replace(/[&<>]/g, (character) => escapeOf[character] ?? character)
      return `<${tag}${attributes}>${escaped}`
    },
  )
}

const escapeOf: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
