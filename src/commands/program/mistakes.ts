import type { Command, CommanderError } from '@commander-js/extra-typings'
import { TailraceError } from '../../errors.ts'

/**
 * @param command the command whose options or arguments were wrong
 * @returns a USAGE error for a refused command line; undefined where the parser only ends after a help text
 */
export function usageMistake(
  { code, message, exitCode }: CommanderError,
  command: Command,
): TailraceError | undefined {
  if (exitCode === 0) return undefined
  if (code === 'commander.help') {
    const names = command
      .createHelp()
      .visibleCommands(command)
      .map((one) => one.name())
    return new TailraceError('USAGE', `${pathOf(command)} needs a subcommand: ${names.join(', ')}.`)
  }
  const sentence = message
    .replace(/^error: /, '')
    .replace(/\n?\(Did you mean (.*?)\?\)$/s, ': did you mean $1?')
  const text = /[.?]$/.test(sentence) ? sentence : `${sentence}.`
  const [, flag] = /^unknown option '([^'=]+)/.exec(text) ?? []
  const isUnknownOption = code === 'commander.unknownOption' && flag !== undefined
  return new TailraceError('USAGE', isUnknownOption ? unknownOption(flag, command, text) : text)
}

/** @param text the parser's own message, which names an option of similar spelling if there is one */
function unknownOption(flag: string, command: Command, text: string): string {
  const ending = flag.replace(/^-+/, '-')
  const longer = command.options.find(({ long }) => long?.endsWith(ending))?.long
  if (longer) return `unknown option '${flag}': did you mean ${longer}?`
  const owners = ownersOf(flag, rootOf(command))
  if (owners.length === 0 || text.endsWith('?')) return text
  return `${pathOf(command)} has no option ${flag}, which belongs to ${owners.join(', ')}.`
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent as Command)
}

/** @returns the words of a command, such as `tailrace tables create` */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent as Command)} ${command.name()}`
}

/** @returns the commands that have an option */
function ownersOf(flag: string, command: Command): string[] {
  const isOwn = command.options.some(({ long, short }) => flag === long || flag === short)
  const below = command.commands.flatMap((one) => ownersOf(flag, one as Command))
  return isOwn ? [pathOf(command), ...below] : below
}
