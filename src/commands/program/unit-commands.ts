import type { Command } from '@commander-js/extra-typings'
import { addCommand, type CommandRunner, jsonOption, pipelineOption } from './definition.ts'
import { wholeNumber } from './values.ts'

/** Commands that divide a backlog among the workers of another engine. */
export function addUnitCommands(program: Command, runner: CommandRunner): void {
  addCommand(program, 'plan', 'List what has not landed, divided into units for other processes to write.', {
    examples: [
      ['tailrace plan', 'the units, as a table'],
      ['tailrace plan --json --unit-mib 512', 'the units as JSON, for a scheduler'],
    ],
  })
    .option('--unit-mib <n>', 'size of a unit in MiB, about', wholeNumber('--unit-mib', 1), 256)
    .option(
      '--max-units <n>',
      'at most this many of a pipeline, by longer ones',
      wholeNumber('--max-units', 1),
    )
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .action((flags) =>
      runner.withConfig(async (context) => {
        const { planCommand } = await import('../units.ts')
        return planCommand(context, flags)
      }),
    )

  addCommand(
    program,
    'write',
    'Read the ranges of a unit and store their rows; they are visible after a commit.',
    {
      examples: [
        ['tailrace write --unit unit.json --manifest manifest.json', 'one unit of a plan'],
        ['tailrace write --unit - --manifest - < unit.json', 'through standard input and output'],
      ],
    },
  )
    .requiredOption('--unit <file>', 'one of the units of tailrace plan --json; `-`: standard input')
    .requiredOption('--manifest <file>', 'where to write what was stored; `-`: standard output')
    .action((files) =>
      runner.withConfig(async (context) => {
        const { writeCommand } = await import('../units.ts')
        return writeCommand(context, files)
      }),
    )

  addCommand(
    program,
    'commit',
    'Land the units of manifests: all of a pipeline in one commit, each exactly once.',
    {
      examples: [['tailrace commit manifests/', 'every manifest in a directory']],
    },
  )
    .argument('<manifest...>', 'manifests of tailrace write, or directories of them')
    .action((paths) =>
      runner.withConfig(async (context) => {
        const { commitCommand } = await import('../units.ts')
        return commitCommand(context, paths)
      }),
    )
}
