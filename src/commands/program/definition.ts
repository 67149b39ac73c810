import { type Command, Option } from '@commander-js/extra-typings'
import type { Print } from '../../reporting/row-printer.ts'
import type { CommandContext } from '../command.ts'
import { usageMistake } from './mistakes.ts'
import { wholeNumber } from './values.ts'

/** Runs commands. Their modules are imported by `work`, so that `--help` and a wrong option load none of them. */
export interface CommandRunner {
  /** Loads the config first. `work` returns the exit code. */
  withConfig(work: (context: CommandContext) => Promise<number>): Promise<void>
  /** For commands that need no config. */
  withoutConfig(work: (print: Print) => Promise<number>): Promise<void>
}

/** The options that are read before the config is loaded. */
export interface SharedFlags {
  readonly config?: string | undefined
  readonly quiet?: true | undefined
  /** Of `start` alone. */
  readonly shard?: string | undefined
}

/** Facts about a command that its help shows below the options. */
export interface HelpNotes {
  /** Command lines, each with its purpose. */
  readonly examples: readonly (readonly [commandLine: string, purpose: string])[]
  /** Exit codes besides 0, 1 and 2. */
  readonly exitCodes?: readonly number[] | undefined
}

/** The meaning of each exit code. docs/operations.md has the details. */
export const exitCodeMeanings: ReadonlyMap<number, string> = new Map([
  [0, 'success'],
  [1, 'failure'],
  [2, 'wrong usage or config'],
  [3, 'the source of a pipeline has no blob'],
  [4, '--max-duration ended an incomplete run'],
  [129, 'stopped by SIGHUP'],
  [130, 'stopped by SIGINT'],
  [143, 'stopped by SIGTERM'],
])

/** The command that completion scripts run; it takes any words. */
export const hiddenCommand = '__complete'

const everyCommand = 'Options of every command:'

/** Adds a command; `addSharedOptions` completes it. */
export function addCommand(program: Command, name: string, summary: string, notes: HelpNotes) {
  const command = refuseMistakes(program.command(name).description(summary))
  command.addHelpText(
    'after',
    `\n${examplesText(notes)}\n${exitCodesText([0, 1, 2, ...(notes.exitCodes ?? [])])}`,
  )
  return command
}

/** Adds the options that every command has, after its own. */
export function addSharedOptions(command: Command): void {
  command.addOption(configOption()).addOption(quietOption()).addHelpOption(helpOption())
  for (const one of command.commands.filter((inner) => inner.name() !== hiddenCommand))
    addSharedOptions(one as Command)
}

/** Makes a command throw a USAGE error where the parser would end the process. */
export function refuseMistakes(command: Command): Command {
  return command.exitOverride((error) => {
    throw usageMistake(error, command) ?? error
  })
}

function examplesText({ examples }: HelpNotes): string {
  const width = examples.reduce((widest, [line]) => Math.max(widest, line.length), 0)
  const lines = examples.map(([line, purpose]) =>
    width > 60 ? `  ${line}\n      ${purpose}` : `  ${line.padEnd(width)}  ${purpose}`,
  )
  return `Examples:\n${lines.map((line) => `${line}\n`).join('')}`
}

/** @returns a paragraph of help that names exit codes */
export function exitCodesText(codes: Iterable<number>): string {
  return `Exit codes:\n${[...codes].map((code) => `  ${String(code).padEnd(5)}${exitCodeMeanings.get(code)}`).join('\n')}`
}

/** The options below mean the same in every command that has them. */
const configOption = () =>
  new Option(
    '--config <file>',
    'path of the config; default: TAILRACE_CONFIG, or pipeline.config.ts',
  ).helpGroup(everyCommand)

const helpOption = () => new Option('-h, --help', 'show this help').helpGroup(everyCommand)

const quietOption = () =>
  new Option('--quiet', 'log only warnings and errors, and show no progress').helpGroup(everyCommand)

export const pipelineOption = () => new Option('--pipeline <name>', 'only this pipeline; default: all')

export const jsonOption = () => new Option('--json', 'print JSON: one object per row, or one per result')

export const wideOption = () =>
  new Option('--wide', 'print cells of a table whole, instead of cut after 60 columns')

export const limitOption = (what: string, limit: number) =>
  new Option('--limit <n>', `print at most this many ${what}`)
    .argParser(wholeNumber('--limit'))
    .default(limit)
