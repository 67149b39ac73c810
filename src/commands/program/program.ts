import { Command } from '@commander-js/extra-typings'
import {
  addSharedOptions,
  type CommandRunner,
  exitCodeMeanings,
  exitCodesText,
  refuseMistakes,
  type SharedFlags,
} from './definition.ts'
import { addInspectCommands } from './inspect-commands.ts'
import { addRunCommands } from './run-commands.ts'
import { addSetupCommands } from './setup-commands.ts'
import { addTableCommands } from './table-commands.ts'
import { addUnitCommands } from './unit-commands.ts'

/** Wide enough for examples; a wider terminal would only make lines harder to read. */
const maxHelpWidth = 100

export interface ProgramOptions {
  readonly version: string
  readonly runner: CommandRunner
  /** Called before each command with the values of the shared options. */
  readonly onFlags: (flags: SharedFlags) => void
  /** Receives help and version texts. */
  readonly write: (text: string) => void
}

/** Defines the command line: every command with its options, and no code that a command needs. */
export function createProgram({ version, runner, onFlags, write }: ProgramOptions): Command {
  const program: Command = refuseMistakes(new Command('tailrace'))
  program
    .description('Tails append blobs into the lakehouse.')
    .version(version, '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({
      subcommandTerm: (command) =>
        [
          command.name(),
          ...command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`)),
        ].join(' '),
    })
    .addHelpText('after', `\n${environmentText}\n${exitCodesText(exitCodeMeanings.keys())}`)
    // Each option belongs to a command: a global --version would swallow that of a subcommand.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: write,
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? maxHelpWidth, maxHelpWidth),
    })
    .hook('preAction', (_, command) => onFlags(command.optsWithGlobals()))
  addRunCommands(program, runner)
  addUnitCommands(program, runner)
  addInspectCommands(program, runner)
  addTableCommands(program, runner)
  addSetupCommands(program, runner)
  addSharedOptions(program)
  return program
}

const environmentText = `Environment:
  TAILRACE_CONFIG  path of the config, when --config is not given
  LOG_LEVEL        trace, debug, info, warn, error, fatal or silent; default: info
`
