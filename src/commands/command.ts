import type { Clock } from '../clock.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import type { LineOutput, Logger, LogLevel } from '../reporting/logger.ts'
import type { Print } from '../reporting/row-printer.ts'
import type { StatusOutput, TerminalTraits } from '../reporting/terminal.ts'

/** The file that a config came from, which can be loaded again. */
export interface ConfigSource {
  readonly path: string
  /** @throws CONFIG_UNREADABLE, CONFIG_INVALID */
  load(): Promise<ResolvedConfig>
  /** The files of the user that the config depends on: it, the modules it imports, and secrets. */
  files(): readonly string[]
  /** The level of the log; a flag may have precedence over the config. */
  levelOf(config: ResolvedConfig): LogLevel
}

/** The input and output of a command. */
export interface CommandContext {
  readonly config: ResolvedConfig
  /** Undefined for a config that cannot be loaded again. */
  readonly source?: ConfigSource | undefined
  readonly logger: Logger
  /** Outputs that get every line of the log as JSON. Undefined where none can be added. */
  readonly logCopies?: Set<LineOutput> | undefined
  readonly clock: Clock
  readonly errorOutput: StatusOutput
  /** Writes to standard output, with secrets masked. */
  readonly print: Print
  /** Writes rows of tables to standard output; unlike `print`, it masks no text that resembles a secret. */
  readonly printRows: Print
  /** Writes to standard output as it is; the caller escapes what a terminal would execute. */
  readonly printRaw: Print
  readonly terminal: TerminalTraits
}
