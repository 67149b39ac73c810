import { createRequire } from 'node:module'
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import type PinoPretty from 'pino-pretty'
import { isTailraceError } from '../errors.ts'
import { escapeDecodedJson, escapeText } from './escape-text.ts'
import { landedLine } from './landed-line.ts'
import { redactSecrets } from './redact.ts'

export type { Logger } from 'pino'

/** The values of `LOG_LEVEL`. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const prettyOptions: PinoPretty.PrettyOptions = {
  translateTime: 'HH:MM:ss.l',
  ignore: 'pid,hostname',
  singleLine: true,
}

/** Receives complete lines, each with its newline. */
export interface LineOutput {
  write(line: string): void
}

export interface LoggerOptions {
  readonly level: LogLevel
  /** Readable lines for a terminal instead of JSON. */
  readonly pretty: boolean
  /** Whether readable lines have colors. Default false. */
  readonly colors?: boolean | undefined
  readonly output: LineOutput
  /** Outputs that get every line as JSON too, with secrets masked. They may be added later. Default: none. */
  readonly copies?: ReadonlySet<LineOutput> | undefined
}

/**
 * Creates the process's logger, which writes one JSON object or one readable line per event.
 *
 * Secrets are masked in the finished line, so no field of any event can leak one. Control characters are escaped.
 */
export function createLogger({
  level,
  pretty: readable,
  colors = false,
  output,
  copies,
}: LoggerOptions): Logger {
  const format = readable ? prettyFormat(colors) : undefined
  const destination: DestinationStream = {
    write: (line) => {
      // pino-pretty decodes the JSON strings and adds colors, so the text is escaped before.
      const shown = format === undefined ? escapeText(line) : format(escapeDecodedJson(line))
      output.write(redactSecrets(shown))
      if (copies === undefined || copies.size === 0) return
      const copied = redactSecrets(line)
      for (const copy of copies) copy.write(copied)
    },
  }
  return pino(
    {
      level,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      base: null,
    },
    destination,
  )
}

/** Loaded only for a terminal: a service writes JSON. */
function prettyFormat(colors: boolean): (line: string) => string {
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty
  const format = prettyFactory({ ...prettyOptions, colorize: colors })
  // A batch lands every few seconds, so its line is short.
  return (line) => landedLine(line) ?? format(line)
}

/** A logger that discards everything, the default of stages. */
export const silentLogger: Logger = pino({ level: 'silent' })

/** @returns an error as log fields: code, message, hint, context and the messages of its causes; for other errors the stack */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const described: Record<string, unknown> = isTailraceError(error)
    ? { code: error.code, message: error.message, hint: error.hint, ...error.context }
    : { name: error.name, message: firstLine(error.message), stack: error.stack }
  if (error.cause !== undefined) described.cause = causeText(error.cause)
  return described
}

function causeText(cause: unknown): string {
  if (!(cause instanceof Error)) return firstLine(String(cause))
  const own = `${cause.name}: ${firstLine(cause.message)}`
  return cause.cause === undefined ? own : `${own} <- ${causeText(cause.cause)}`
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
