import { parseArgs } from 'node:util'
import { systemClock } from './clock.ts'
import { check } from './commands/check.ts'
import type { CommandContext } from './commands/command.ts'
import { durationMs, exitCodes } from './commands/exit-code.ts'
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

  tailrace start   [--once [--allow-empty]] [--fail-fast] [--max-duration 10m] [--pipeline NAME]
                                                     run; --once drains to the blobs' ends and exits, --fail-fast
                                                     exits when a pipeline fails, instead of starting it again,
                                                     --max-duration stops in order after that time
  tailrace replay  --pipeline NAME --blob B --from N [--to M]
                                                     land a range again, replacing what it landed before
  tailrace status  [--pipeline NAME] [--json]        per blob: size, offset, lag, rows, rejected
  tailrace verify  [--pipeline NAME] [--json]        prove that every committed byte is accounted for
  tailrace rejects [--pipeline NAME] [--limit N] [--json]
                                                     list rejected and partial rows
  tailrace query   "select ..." [--pipeline NAME] [--json]
                                                     SQL over the configured tables, in a Databricks workspace by its
                                                     warehouse
                   [--at TIME | --version N]         … as Delta tables were then
                   [--unsafe]                        any statements, with the rights of this process
  tailrace history [--pipeline NAME] [--limit N] [--json]
                                                     list a Delta table's commits, newest first
  tailrace optimize [--pipeline NAME] [--json]       merge the small files of Delta tables
  tailrace vacuum  [--pipeline NAME] [--delete] [--retain-hours N [--allow-short-retention]] [--json]
                                                     list the files that no Delta table needs any more, or delete them
  tailrace tables create [--pipeline NAME] [--print] create what is missing, or print the SQL that would
  tailrace check   [--allow-empty]                   validate the config and reach every endpoint

  --config FILE    the config; default pipeline.config.ts
  LOG_LEVEL        ${logLevels.join(', ')}; default info

Exit codes: 0 done, 1 failed, 2 wrong usage or config, 3 a pipeline's source has no blob (start --once, check; not with
--allow-empty), 4 --max-duration ended a run that was not done, 129/130/143 stopped by a signal.
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
  switch (command) {
    case 'start':
      return start(context, {
        once: values.once,
        failFast: values['fail-fast'],
        pipeline,
        allowEmpty: values['allow-empty'],
        maxDurationMs:
          values['max-duration'] === undefined
            ? undefined
            : durationMs(values['max-duration'], '--max-duration'),
      })
    case 'replay':
      return replayCommand(context, {
        pipeline: required(pipeline, '--pipeline'),
        blob: required(values.blob, '--blob'),
        from: wholeNumber(required(values.from, '--from'), '--from'),
        ...(values.to === undefined ? {} : { to: wholeNumber(values.to, '--to') }),
      })
    case 'status':
      return status(context, pipeline, json)
    case 'verify':
      return verify(context, pipeline, json)
    case 'rejects':
      return rejects(context, {
        limit: wholeNumber(values.limit, '--limit'),
        json,
        ...(pipeline === undefined ? {} : { pipeline }),
      })
    case 'query':
      if (values.version !== undefined && values.at !== undefined) {
        throw new TailraceError('USAGE', '--version and --at say the same: give one of them.')
      }
      return query(context, required(operands[0], 'a SQL statement'), {
        json,
        unsafe: values.unsafe,
        ...(pipeline === undefined ? {} : { pipeline }),
        ...(values.version === undefined ? {} : { version: wholeNumber(values.version, '--version') }),
        ...(values.at === undefined ? {} : { timestampMs: instant(values.at, '--at') }),
      })
    case 'history':
      return history(context, {
        limit: wholeNumber(values.limit, '--limit'),
        json,
        ...(pipeline === undefined ? {} : { pipeline }),
      })
    case 'optimize':
      return optimize(context, pipeline, json)
    case 'vacuum':
      return vacuum(context, {
        ...(pipeline === undefined ? {} : { pipeline }),
        ...(values['retain-hours'] === undefined
          ? {}
          : { retentionHours: wholeNumber(values['retain-hours'], '--retain-hours') }),
        allowShortRetention: values['allow-short-retention'],
        deletes: values.delete,
        json,
      })
    case 'tables':
      if (operands[0] !== 'create')
        throw new TailraceError('USAGE', 'Of tables, there is only tables create.')
      return createTables(context, {
        printsOnly: values.print,
        ...(pipeline === undefined ? {} : { pipeline }),
      })
    case 'check':
      return check(context, { allowEmpty: values['allow-empty'] })
    default:
      throw new TailraceError('USAGE', `There is no command ${command}.`)
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
    // Only a config that was loaded has said which variables it reads; one that failed may lack a misspelled one.
    for (const { name, nearestName } of unknownVariables())
      logger.warn({ variable: name }, `nothing reads the variable ${name}: is ${nearestName} meant?`)
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

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new TailraceError('USAGE', `${name} is missing.`)
  return value
}

function wholeNumber(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '') {
    throw new TailraceError('USAGE', `${name} is ${text}; expected a whole number from 0 on.`)
  }
  return value
}

/** Without its offset, a time would be another one on every machine. */
function instant(text: string, name: string): number {
  const value = /T.*(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(value)) {
    throw new TailraceError(
      'USAGE',
      `${name} is ${text}; expected a time with its offset, such as 2026-11-24T00:00:00Z.`,
    )
  }
  return value
}

/** What a person reads when a command fails; the log has the rest. */
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
