import { systemClock } from '../clock.ts'
import { environmentFiles, readVariables, unknownVariables } from '../config/environment.ts'
import { configFiles } from '../config/import-config.ts'
import { loadConfig } from '../config/load.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { createLogger, type LineOutput, type LogLevel, logLevels } from '../reporting/logger.ts'
import { redactSecrets } from '../reporting/redact.ts'
import { printTo, standardError, standardOutput, terminalTraits } from '../reporting/terminal.ts'
import type { CommandContext } from './command.ts'

export interface ContextFlags {
  /** Path of the config. Default: `TAILRACE_CONFIG`, or `pipeline.config.ts`. */
  readonly config?: string | undefined
  /** Log only warnings and errors, and show no progress. Default false. */
  readonly quiet?: boolean | undefined
  /** Which part of the blobs to read, in place of the config's `shard`. */
  readonly shard?: string | undefined
}

/**
 * Loads the config, and opens the log and the output of a command.
 *
 * @throws CONFIG_UNREADABLE, CONFIG_INVALID
 */
export async function openContext(flags: ContextFlags): Promise<CommandContext> {
  const terminal = process.stderr.isTTY === true
  const isQuiet = flags.quiet === true
  const variables = readVariables({
    LOG_LEVEL: logLevels,
    TAILRACE_CONFIG: 'text',
    // Package managers set it for their scripts.
    npm_lifecycle_event: 'text',
  })
  const errorOutput = standardError(terminal && !isQuiet)
  const logCopies = new Set<LineOutput>()
  const logger = createLogger({
    // Until the config is loaded, which may set another one.
    level: isQuiet ? 'warn' : (variables.LOG_LEVEL ?? 'info'),
    pretty: terminal,
    colors: terminal && process.stderr.hasColors(),
    output: errorOutput,
    copies: logCopies,
  })
  const path = flags.config ?? variables.TAILRACE_CONFIG ?? 'pipeline.config.ts'
  const load = () => loadConfig(path, { shard: flags.shard })
  const config = await load().finally(() => {
    // After loading, because the config decides which variables are read. Also after a failure: a misspelled variable may be its cause.
    for (const { name, nearestName } of unknownVariables())
      logger.warn({ variable: name }, `unknown environment variable ${name}: did you mean ${nearestName}?`)
  })
  const levelOf = ({ logLevel }: ResolvedConfig): LogLevel => (isQuiet ? 'warn' : logLevel)
  logger.level = levelOf(config)
  const output = standardOutput(process.stdout)
  return {
    config,
    source: {
      path,
      load,
      files: () => [...configFiles(), ...environmentFiles()],
      levelOf,
    },
    logger,
    logCopies,
    clock: systemClock,
    errorOutput,
    print: (text) => output(redactSecrets(text)),
    printRows: output,
    printRaw: printTo(process.stdout, { name: 'standard output', escapes: false }),
    terminal: terminalTraits(variables.npm_lifecycle_event !== undefined),
  }
}
