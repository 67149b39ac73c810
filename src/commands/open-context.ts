import { systemClock } from '../clock.ts'
import { readEnvironment, unknownVariables } from '../config/environment.ts'
import { loadConfig } from '../config/load.ts'
import { createLogger, logLevels } from '../reporting/logger.ts'
import { redactSecrets } from '../reporting/redact.ts'
import { printTo, standardError, standardOutput, terminalTraits } from '../reporting/terminal.ts'
import type { CommandContext } from './command.ts'

export interface ContextFlags {
  /** Path of the config. Default: `TAILRACE_CONFIG`, or `pipeline.config.ts`. */
  readonly config?: string | undefined
  /** Log only warnings and errors, and show no progress. Default false. */
  readonly quiet?: boolean | undefined
}

/**
 * Loads the config, and opens the log and the output of a command.
 *
 * @throws CONFIG_UNREADABLE, CONFIG_INVALID
 */
export async function openContext(flags: ContextFlags): Promise<CommandContext> {
  const terminal = process.stderr.isTTY === true
  const isQuiet = flags.quiet === true
  const variables = readEnvironment({
    LOG_LEVEL: logLevels,
    TAILRACE_CONFIG: 'text',
    // Package managers set it for their scripts.
    npm_lifecycle_event: 'text',
  })
  const errorOutput = standardError(terminal && !isQuiet)
  const level = isQuiet ? 'warn' : (variables.LOG_LEVEL ?? 'info')
  const logger = createLogger({
    level,
    pretty: terminal,
    colors: terminal && process.stderr.hasColors(),
    output: errorOutput,
  })
  const path = flags.config ?? variables.TAILRACE_CONFIG ?? 'pipeline.config.ts'
  const config = await loadConfig(path).finally(() => {
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
    printRaw: printTo(process.stdout, { name: 'standard output', escapes: false }),
    terminal: terminalTraits(variables.npm_lifecycle_event !== undefined),
  }
}
