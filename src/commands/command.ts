import type { Clock } from '../clock.ts'
import type { ResolvedConfig } from '../config/resolve.ts'
import type { Logger } from '../reporting/logger.ts'
import type { Print } from '../reporting/row-printer.ts'
import type { StatusOutput } from '../reporting/terminal.ts'

/** What a command is given. */
export interface CommandContext {
  readonly config: ResolvedConfig
  readonly logger: Logger
  readonly clock: Clock
  readonly errorOutput: StatusOutput
  /** Writes to standard output, with secrets masked. */
  readonly print: Print
  /** Writes rows of tables to standard output as they are. */
  readonly printRows: Print
}
