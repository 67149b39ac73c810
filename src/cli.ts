import { exitCodes } from './commands/exit-code.ts'
import type { SharedFlags } from './commands/program/definition.ts'
import { createProgram } from './commands/program/program.ts'
import { errors, isTailraceError } from './errors.ts'
import { version } from './package.ts'
import { escapeText } from './reporting/escape-text.ts'
import { redactSecrets } from './reporting/redact.ts'
import { standardError, standardOutput } from './reporting/terminal.ts'

const usageCodes = new Set([
  'UNIT_INVALID',
  'USAGE',
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'PACKAGE_MISSING',
  'REPLAY_NOT_A_LINE_START',
  'REPLAY_OUT_OF_RANGE',
  'TABLE_VERSION_UNAVAILABLE',
  'QUERY_REFUSED',
  'WAREHOUSE_MISSING',
])

/** Parses the command line and runs its command. @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  const print = standardOutput(process.stdout)
  let flags: SharedFlags = {}
  let code: number = exitCodes.done
  let help = ''
  const program = createProgram({
    version,
    onFlags: (given) => {
      flags = given
    },
    write: (text) => {
      help += text
    },
    runner: {
      withConfig: async (work) => {
        const { openContext } = await import('./commands/open-context.ts')
        code = await work(await openContext(flags))
      },
      withoutConfig: async (work) => {
        code = await work(print)
      },
    },
  })
  if (argv.length === 0) {
    program.outputHelp()
    code = exitCodes.usage
  } else {
    await program.parseAsync(argv, { from: 'user' }).catch((error: unknown) => {
      // The parser ends with an error after help and version, too.
      if ((error as { exitCode?: unknown }).exitCode !== 0) throw error
    })
  }
  await print(help)
  return code
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
