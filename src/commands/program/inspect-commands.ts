import { type Command, Option } from '@commander-js/extra-typings'
import { probes } from '../../run/monitoring/health.ts'
import {
  addCommand,
  type CommandRunner,
  jsonOption,
  limitOption,
  pipelineOption,
  wideOption,
} from './definition.ts'
import { durationMs, pastInstantMs, wholeNumber } from './values.ts'

/** Commands that show the state of sources and tables, and change nothing. */
export function addInspectCommands(program: Command, runner: CommandRunner): void {
  addCommand(program, 'status', 'Show size, offset, lag, rows and rejected rows of each blob.', {
    examples: [
      ['tailrace status', 'all pipelines'],
      ['tailrace status --json', 'every blob, for a program'],
    ],
  })
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .action(({ pipeline, json = false }) =>
      runner.withConfig(async (context) => {
        const { status } = await import('../status.ts')
        return status(context, pipeline, json)
      }),
    )

  addCommand(
    program,
    'top',
    'Show the running pipelines: speed, lag, disk gate, last commit, failure, and blobs behind.',
    {
      examples: [
        ['tailrace top', 'beside tailrace start, redrawn every second until Ctrl-C'],
        ['tailrace top --once', 'once, for a log or a mail'],
      ],
    },
  )
    .addOption(pipelineOption())
    .option('--once', 'print the table once')
    .addOption(jsonOption())
    .action((flags) =>
      runner.withConfig(async (context) => {
        const { top } = await import('../top.ts')
        return top(context, flags)
      }),
    )

  addCommand(
    program,
    'page',
    'Serve a web page over the tables: state of the pipelines, search, report and SQL. Changes nothing.',
    {
      examples: [
        ['tailrace page', 'at http://127.0.0.1:8787/ until Ctrl-C, as tailrace start does beside its work'],
        ['tailrace page --port 0', 'at any free port, which is logged'],
      ],
      exitCodes: [130, 143],
    },
  )
    .addOption(pipelineOption())
    .option('--port <n>', 'port to listen on; default: page.port of the config', wholeNumber('--port'))
    .option('--host <address>', 'address to listen on; default: page.host of the config')
    .action((flags) =>
      runner.withConfig(async (context) => {
        const { page } = await import('../page.ts')
        return page(context, flags)
      }),
    )

  addCommand(
    program,
    'report',
    'Report what the logs of a time say: statements, errors, locks, checkpoints, autovacuum, sessions …',
    {
      examples: [
        ['tailrace report --since 24h --html report.html', 'one file for a mail or a ticket'],
        ['tailrace report --since 7d --compare week --json', 'for a program, with the week before'],
      ],
    },
  )
    .option(
      '--since <time>',
      'from a time, or from 24h ago; default: 24 hours before the end',
      pastInstantMs('--since'),
    )
    .option('--until <time>', 'to a time, or to 30m ago; default: the last record', pastInstantMs('--until'))
    .addOption(
      new Option('--compare <time>', 'with the time before it, or with a week before').choices([
        'previous',
        'week',
      ] as const),
    )
    .addOption(pipelineOption())
    .option('--html <file>', 'write the report as one self-contained HTML file')
    .addOption(jsonOption())
    .action(({ since, until, ...flags }) =>
      runner.withConfig(async (context) => {
        const { report } = await import('../report.ts')
        return report(context, { ...flags, fromMs: since, toMs: until })
      }),
    )

  addCommand(program, 'health', 'Ask the process that runs with this config how it is, for a HEALTHCHECK.', {
    examples: [
      ['tailrace health', 'exits with 1, and prints the reasons, when a pipeline does not land'],
      ['tailrace health --probe livez', 'only whether the process itself is stuck'],
    ],
  })
    .addOption(
      new Option('--probe <name>', 'livez, readyz or startupz').choices(probes).default('readyz' as const),
    )
    .addOption(jsonOption())
    .action(({ probe, json = false }) =>
      runner.withConfig(async (context) => {
        const { health } = await import('../health.ts')
        return health(context, { probe, json })
      }),
    )

  addCommand(program, 'verify', "Prove that rows cover every byte up to each blob's offset.", {
    examples: [['tailrace verify', 'exits with 1 when a byte is missing or doubled']],
  })
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .action(({ pipeline, json = false }) =>
      runner.withConfig(async (context) => {
        const { verify } = await import('../verify.ts')
        return verify(context, pipeline, json)
      }),
    )

  addCommand(program, 'rejects', 'List rejected and partial rows, newest first.', {
    examples: [['tailrace rejects --limit 5', 'the last five, with their reasons']],
  })
    .addOption(pipelineOption())
    .addOption(limitOption('rows per table', 50))
    .addOption(jsonOption())
    .addOption(wideOption())
    .action(({ pipeline, limit, wide, json = false }) =>
      runner.withConfig(async (context) => {
        const { rejects } = await import('../rejects.ts')
        return rejects(context, { pipeline, limit, json, wide })
      }),
    )

  addCommand(program, 'check', 'Validate the config, and send a request to every endpoint.', {
    examples: [
      ['tailrace check', 'before the first start, and after each change of the config'],
      ['tailrace check --write', 'in Databricks: land a row in a scratch table, and name each missing grant'],
    ],
    exitCodes: [3, 130, 143],
  })
    .addOption(
      new Option(
        '--offline',
        'send no request: check the config, the transforms and the SQL of the tables',
      ).conflicts('write'),
    )
    .option('--write', 'probe rights in Databricks, land a row in a scratch table there, and remove both')
    .addOption(pipelineOption())
    .option('--allow-empty', 'a source without a blob is no failure')
    .option('--max-duration <time>', 'fail after this time; default: 5m', durationMs('--max-duration'))
    .action(({ offline, write, pipeline, allowEmpty, maxDuration }) =>
      runner.withConfig(async (context) => {
        const { check } = await import('../check.ts')
        const { checkWriting } = await import('../checking/check-writing.ts')
        if (write === true) return checkWriting(context, { pipeline, maxDurationMs: maxDuration })
        return check(context, { offline, pipeline, allowEmpty, maxDurationMs: maxDuration })
      }),
    )
}
