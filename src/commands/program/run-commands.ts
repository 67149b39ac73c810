import type { Command } from '@commander-js/extra-typings'
import { addCommand, type CommandRunner, pipelineOption } from './definition.ts'
import { durationMs, wholeNumber } from './values.ts'

/** Commands that land records. */
export function addRunCommands(program: Command, runner: CommandRunner): void {
  addCommand(
    program,
    'start',
    'Run the pipelines until a signal, or with --once to the current end of each blob.',
    {
      examples: [
        ['tailrace start', 'follow the blobs until Ctrl-C'],
        ['tailrace start --once', 'land what is there, print a summary as JSON, and end'],
        ['tailrace start --once --max-duration 10m', 'the same for a job with a time limit'],
        ['tailrace start --shard 0/4', 'the first of four processes that divide the blobs'],
        ['tailrace start --watch', 'take over changes of the config without a restart'],
        [
          'tailrace start --dry-run',
          'in Databricks: print every statement of a first landing, and send nothing',
        ],
      ],
      exitCodes: [3, 4, 129, 130, 143],
    },
  )
    .option('--once', 'land everything up to the current end of each blob, then exit')
    .option('--allow-empty', 'with --once, a source without a blob is no failure')
    .option('--fail-fast', 'exit when a pipeline fails, instead of starting it again')
    .option(
      '--max-duration <time>',
      'stop in order after this time, such as 90s, 10m or 2h',
      durationMs('--max-duration'),
    )
    .option('--shard <i/n>', 'read only part i of n of the blobs, from 0; auto/n in a Kubernetes pod')
    .option('--watch', 'load the config again when it changes, as at SIGHUP')
    .option('--dry-run', 'print every statement and request of a first landing in Databricks, and send none')
    .addOption(pipelineOption())
    .action(async ({ once = false, dryRun = false, maxDuration, ...flags }) => {
      if (dryRun) {
        await runner.withConfig(async (context) => {
          const { printLanding } = await import('../starting/print-landing.ts')
          return printLanding(context, flags.pipeline)
        })
        return
      }
      // Before the config, after which every module passes through the loader of TypeScript and takes several times as long.
      const { start } = await import('../start.ts')
      await runner.withConfig((context) => start(context, { ...flags, once, maxDurationMs: maxDuration }))
    })

  addCommand(program, 'replay', 'Land a range of a blob again, and replace the rows that it landed before.', {
    examples: [
      [
        'tailrace replay --pipeline primary --blob pg.ndjson --from 0',
        'the whole blob, after a fixed transform',
      ],
      [
        'tailrace replay --pipeline primary --blob pg.ndjson --from 4096 --to 8192',
        'the lines from 4096 to 8192',
      ],
    ],
  })
    .requiredOption('--pipeline <name>', 'the pipeline that landed the range')
    .requiredOption('--blob <name>', 'the blob, with or without its container')
    .requiredOption('--from <offset>', 'offset of the first line, in bytes', wholeNumber('--from'))
    .option('--to <offset>', 'offset behind the last line; default: the landed end', wholeNumber('--to'))
    .action(({ pipeline, blob, from, to }) =>
      runner.withConfig(async (context) => {
        const { replayCommand } = await import('../replay.ts')
        return replayCommand(context, { pipeline, blob, from, to })
      }),
    )
}
