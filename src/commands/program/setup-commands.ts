import { Argument, type Command, Option } from '@commander-js/extra-typings'
import { completionScript, completions, shells } from './completion.ts'
import {
  addCommand,
  type CommandRunner,
  hiddenCommand,
  jsonOption,
  limitOption,
  pipelineOption,
} from './definition.ts'
import { storageKinds } from './storage-kinds.ts'
import { wholeNumber } from './values.ts'

/** Commands that prepare the use of the others. */
export function addSetupCommands(program: Command, runner: CommandRunner): void {
  addCommand(program, 'init', 'Write a config that runs. Asks a few questions on a terminal.', {
    examples: [
      ['tailrace init', 'answer the questions'],
      ['tailrace init --yes', 'a config of the embedded storage with its sample logs'],
      ['tailrace init --storage account --account mylogs --blobs primary/', 'logs in a storage account'],
    ],
  })
    .option('--file <file>', 'path of the new config', 'pipeline.config.ts')
    .option('--force', 'replace an existing file')
    .option('--yes', 'ask nothing: take the defaults for what is not given')
    .addOption(new Option('--storage <kind>', 'where the logs are').choices(storageKinds))
    .option('--account <name>', 'the storage account')
    .option('--container <name>', 'the container of the logs')
    .option('--blobs <path>', 'a blob name, a prefix ending in /, a pattern, or a resource id')
    .option('--pipeline <name>', 'name of the pipeline')
    .option('--table <name>', 'catalog.schema.table')
    .option('--root <path>', 'directory or Azure URL of the tables')
    .action(({ yes = false, ...answers }) =>
      runner.withoutConfig(async (print) => {
        const { init } = await import('../init.ts')
        return init(print, { ...answers, asksNothing: yes || process.stdin.isTTY !== true })
      }),
    )

  addCommand(
    program,
    'test',
    'Run records from files through the transforms and tables, and compare the rows.',
    {
      examples: [
        ['tailrace test', 'the cases in transform-tests/PIPELINE/NAME.input.ndjson and NAME.expected.ndjson'],
        ['tailrace test --junit report.xml', 'the same, with a report for CI'],
        ['tailrace test --update', 'write the rows found as the expected ones'],
      ],
    },
  )
    .argument('[directory]', 'has a folder for each pipeline', 'transform-tests')
    .addOption(pipelineOption())
    .option('--junit <file>', 'also write a JUnit report')
    .option('--update', 'write the expected rows anew')
    .action((directory, flags) =>
      runner.withConfig(async (context) => {
        const { test } = await import('../test.ts')
        return test(context, { ...flags, directory })
      }),
    )

  addCommand(
    program,
    'tap',
    'Show the newest lines of a pipeline before and after its transforms; land nothing.',
    {
      examples: [
        ['tailrace tap --pipeline primary', 'the last lines of the newest blob'],
        ['tailrace tap --pipeline primary --follow --sample 10', 'each tenth of those appended from now on'],
      ],
    },
  )
    .requiredOption('--pipeline <name>', 'the pipeline')
    .addOption(limitOption('lines', 20))
    .option('--sample <n>', 'print each n-th line only', wholeNumber('--sample', 1))
    .option('--follow', 'wait for appends until there are enough lines, or until Ctrl-C')
    .addOption(jsonOption())
    .action((flags) =>
      runner.withConfig(async (context) => {
        const { tap } = await import('../tap.ts')
        return tap(context, flags)
      }),
    )

  addCommand(program, 'completion', 'Print a script by which a shell completes commands and options.', {
    examples: [
      ['source <(tailrace completion bash)', 'in ~/.bashrc'],
      ['source <(tailrace completion zsh)', 'in ~/.zshrc, after compinit'],
      ['tailrace completion fish | source', 'in ~/.config/fish/config.fish'],
    ],
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action((shell) =>
      runner.withoutConfig(async (print) => {
        await print(completionScript(shell))
        return 0
      }),
    )

  // Asked by the scripts.
  program
    .command(hiddenCommand, { hidden: true })
    .helpOption(false)
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action((words) =>
      runner.withoutConfig(async (print) => {
        await print(completions(program, words))
        return 0
      }),
    )
}
