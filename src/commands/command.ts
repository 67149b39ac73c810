import type { Clock } from '../clock.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import type { Logger } from '../reporting/logger.ts'
import type { Print } from '../reporting/row-printer.ts'
import type { StatusOutput, TerminalTraits } from '../reporting/terminal.ts'

/** The input and output of a command. */
export interface CommandContext {
  readonly config: ResolvedConfig
  readonly logger: Logger
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
