import { parseArgs } from 'node:util'
import { systemClock } from './clock.ts'
import { check } from './commands/check.ts'
import type { CommandContext } from './commands/command.ts'
import { exitCodes, parseDurationMs } from './commands/exit-code.ts'
import { history } from './commands/history.ts'
import { optimize } from './commands/optimize.ts'
import { query } from './commands/query.ts'
import { rejects } from './commands/rejects.ts'
import { replayCommand } from './commands/replay.ts'
import { start } from './commands/start.ts'
import { status } from './commands/status.ts'
import { createTables } from './commands/tables.ts'
import { vacuum } from './commands/vacuum.ts'
import { verify } from './commands/verify.ts'
import { readEnvironment, unknownVariables } from './config/environment.ts'
import { loadConfig } from './config/load.ts'
import { errors, isTailraceError, TailraceError } from './errors.ts'
import { escapeText } from './reporting/escape-text.ts'
import { createLogger, logLevels } from './reporting/logger.ts'
import { redactSecrets } from './reporting/redact.ts'
import { standardError, standardOutput } from './reporting/terminal.ts'

const usage = `tailrace: tails append blobs into the lakehouse

  tailrace start   [--once] [--allow-empty] [--fail-fast] [--max-duration 10m] [--pipeline NAME]
                   run the pipelines until a signal
                     --once          land everything up to the current end of each blob, then exit
                     --allow-empty   with --once, a source without a blob is no failure
                     --fail-fast     exit when a pipeline fails, instead of restarting it
                     --max-duration  stop in order after this time
  tailrace replay  --pipeline NAME --blob BLOB --from OFFSET [--to OFFSET]
                   land a range of a blob again, replacing the rows that it landed before
  tailrace status  [--pipeline NAME] [--json]
                   show size, offset, lag, rows and rejected rows of each blob
  tailrace verify  [--pipeline NAME] [--json]
                   prove that rows cover every byte up to each blob's offset
  tailrace rejects [--pipeline NAME] [--limit N] [--json]
                   list rejected and partial rows, newest first
  tailrace query   "select ..." [--pipeline NAME] [--json] [--at TIME | --version N] [--unsafe]
                   run SQL over the configured tables; tables in a Databricks workspace are queried by its warehouse
                     --at, --version  read Delta tables as of a time or a version
                     --unsafe         allow any statement, with the permissions of this process
  tailrace history [--pipeline NAME] [--limit N] [--json]
                   list the commits of Delta tables, newest first
  tailrace optimize [--pipeline NAME] [--json]
                   merge the small files of Delta tables
  tailrace vacuum  [--pipeline NAME] [--delete] [--retain-hours N [--allow-short-retention]] [--json]
                   list the files that Delta tables no longer need, or delete them
  tailrace tables create [--pipeline NAME] [--print]
                   create missing tables, or print their SQL
  tailrace check   [--allow-empty] [--max-duration 5m]
                   validate the config and send a request to every endpoint

  --config FILE    path of the config; default pipeline.config.ts
  LOG_LEVEL        environment variable: ${logLevels.join(', ')}; default info

Exit codes: 0 success; 1 failure; 2 wrong usage or config; 3 the source of a pipeline has no blob (start --once and check,
without --allow-empty); 4 --max-duration stopped an incomplete run; 129, 130, 143 stopped by a signal.
`

const options = {
  config: { type: 'string', default: 'pipeline.config.ts' },
  pipeline: { type: 'string' },
  once: { type: 'boolean', default: false },
  'fail-fast': { type: 'boolean', default: false },
  'allow-empty': { type: 'boolean', default: false },
  'max-duration': { type: 'string' },
  blob: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  limit: { type: 'string', default: '50' },
  version: { type: 'string' },
  at: { type: 'string' },
  delete: { type: 'boolean', default: false },
  'retain-hours': { type: 'string' },
  'allow-short-retention': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  print: { type: 'boolean', default: false },
  unsafe: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

const usageCodes = new Set([
  'USAGE',
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'PACKAGE_MISSING',
  'REPLAY_NOT_A_LINE_START',
  'REPLAY_OUT_OF_RANGE',
  'TABLE_VERSION_UNAVAILABLE',
  'QUERY_REFUSED',
])

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parsed(argv)
  const [command, ...operands] = positionals
  if (values.help || command === undefined) {
    await standardOutput(process.stdout)(usage)
    return values.help ? 0 : 2
  }
  const context = await createContext(values.config)
  const { pipeline, json } = values
  const maxDurationMs = optional(values['max-duration'], (text) => parseDurationMs(text, '--max-duration'))
  switch (command) {
    case 'start':
      return start(context, {
        once: values.once,
        failFast: values['fail-fast'],
        pipeline,
        allowEmpty: values['allow-empty'],
        maxDurationMs,
      })
    case 'replay':
      return replayCommand(context, {
        pipeline: required(pipeline, '--pipeline'),
        blob: required(values.blob, '--blob'),
        from: wholeNumber(required(values.from, '--from'), '--from'),
        to: optional(values.to, (text) => wholeNumber(text, '--to')),
      })
    case 'status':
      return status(context, pipeline, json)
    case 'verify':
      return verify(context, pipeline, json)
    case 'rejects':
      return rejects(context, { limit: wholeNumber(values.limit, '--limit'), json, pipeline })
    case 'query':
      if (values.version !== undefined && values.at !== undefined) {
        throw new TailraceError('USAGE', 'Found both --version and --at; expected at most one of them.')
      }
      return query(context, required(operands[0], 'a SQL statement'), {
        json,
        unsafe: values.unsafe,
        pipeline,
        version: optional(values.version, (text) => wholeNumber(text, '--version')),
        timestampMs: optional(values.at, (text) => instant(text, '--at')),
      })
    case 'history':
      return history(context, { limit: wholeNumber(values.limit, '--limit'), json, pipeline })
    case 'optimize':
      return optimize(context, pipeline, json)
    case 'vacuum':
      return vacuum(context, {
        pipeline,
        retentionHours: optional(values['retain-hours'], (text) => wholeNumber(text, '--retain-hours')),
        allowShortRetention: values['allow-short-retention'],
        deletes: values.delete,
        json,
      })
    case 'tables':
      if (operands[0] !== 'create')
        throw new TailraceError(
          'USAGE',
          `Unknown subcommand of tables: found ${operands[0] ?? 'none'}, expected create.`,
        )
      return createTables(context, { printsOnly: values.print, pipeline })
    case 'check':
      return check(context, { allowEmpty: values['allow-empty'], maxDurationMs })
    default:
      throw new TailraceError('USAGE', `Unknown command ${command}.`)
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    throw new TailraceError('USAGE', (error as Error).message, { cause: error })
  }
}

async function createContext(configPath: string): Promise<CommandContext> {
  const terminal = process.stderr.isTTY === true
  const { LOG_LEVEL: level = 'info' } = readEnvironment({ LOG_LEVEL: logLevels })
  const errorOutput = standardError(terminal)
  const logger = createLogger({ level, pretty: terminal, output: errorOutput })
  const config = await loadConfig(configPath).finally(() => {
    // After loading, because the config decides which variables are read. Also after a failure: a misspelled variable may be its cause.
    for (const { name, nearestName } of unknownVariables())
      logger.warn({ variable: name }, `unknown environment variable ${name}: did you mean ${nearestName}?`)
  })
  const output = standardOutput(process.stdout)
  return {
    config,
    logger,
    clock: systemClock,
    errorOutput,
    print: (text) => output(redactSecrets(text)),
    printRows: output,
  }
}

function optional<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text)
}

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new TailraceError('USAGE', `${name} is missing.`)
  return value
}

function wholeNumber(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '') {
    throw new TailraceError('USAGE', `${name}: found ${text}, expected a whole number of at least 0.`)
  }
  return value
}

/** Requires a UTC offset: without it, the same text would mean another time on another machine. */
function instant(text: string, name: string): number {
  const value = /T.*(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(value)) {
    throw new TailraceError(
      'USAGE',
      `${name}: found ${text}, expected a time with a UTC offset, such as 2026-11-24T00:00:00Z.`,
    )
  }
  return value
}

/** @returns the text that a failed command prints; the log has the details */
function explain(error: unknown): string {
  if (!isTailraceError(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return redactSecrets(`UNEXPECTED: ${stack}\n${errors.UNEXPECTED.hint}`)
  }
  const { queryId } = error.context
  const lines = [
    `${error.code}: ${error.message}`,
    ...(queryId === undefined ? [] : [`The query's id is ${queryId}.`]),
    errors[error.code].hint,
  ]
  return redactSecrets(lines.join('\n'))
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    standardError(false).write(escapeText(`tailrace: ${explain(error)}\n`))
    process.exitCode =
      isTailraceError(error) && usageCodes.has(error.code) ? exitCodes.usage : exitCodes.failed
  },
)
