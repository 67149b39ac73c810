import type { Clock } from '../clock.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import type { Logger } from '../reporting/logger.ts'
import type { Print } from '../reporting/row-printer.ts'
import type { StatusOutput } from '../reporting/terminal.ts'

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
}
