import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { type PrettyOptions, prettyFactory } from 'pino-pretty'
import { isTailraceError } from '../errors.ts'
import { escapeDecodedJson, escapeText } from './escape-text.ts'
import { redactSecrets } from './redact.ts'

export type { Logger } from 'pino'

/** Levels of `LOG_LEVEL`. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const prettyOptions: PrettyOptions = {
  colorize: true,
  translateTime: 'HH:MM:ss.l',
  ignore: 'pid,hostname',
  singleLine: true,
}

/** Takes whole lines, each with its newline. */
export interface LineOutput {
  write(line: string): void
}

export interface LoggerOptions {
  readonly level: LogLevel
  /** Pretty lines for a person, or JSON for a machine. */
  readonly pretty: boolean
  readonly output: LineOutput
}

/**
 * The process's logger: one JSON object per line, or one readable line on a terminal.
 *
 * Every finished line passes the redaction, so no secret gets out by whichever field it came in, and control characters
 * of the data are escaped.
 */
export function createLogger({ level, pretty: readable, output }: LoggerOptions): Logger {
  const format = readable ? prettyFactory(prettyOptions) : undefined
  const destination: DestinationStream = {
    write: (line) => {
      // The readable form decodes the strings of the JSON, and colors them.
      const shown = format === undefined ? escapeText(line) : format(escapeDecodedJson(line))
      output.write(redactSecrets(shown))
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

/** A logger that says nothing, for stages used alone. */
export const silentLogger: Logger = pino({ level: 'silent' })

/** An error as log fields: code, message, hint, context, and the messages of its causes; stacks at the root only. */
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
