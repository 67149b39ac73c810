import { type Command, Option } from '@commander-js/extra-typings'
import { textFormats } from '../../reporting/text-formats.ts'
import { retainDaysBounds } from '../../sinks/retain-days.ts'
import {
  addCommand,
  type CommandRunner,
  jsonOption,
  limitOption,
  pipelineOption,
  refuseMistakes,
  wideOption,
} from './definition.ts'
import { durationMs, instantMs, pastInstantMs, wholeNumber } from './values.ts'

/** Commands that work on tables. */
export function addTableCommands(program: Command, runner: CommandRunner): void {
  addCommand(
    program,
    'query',
    'Run SQL over the configured tables. Tables in a Databricks workspace are queried by its warehouse.',
    {
      examples: [
        [
          'tailrace query "select severity, count(*) from primary_postgresql_logs_uat group by 1"',
          'one statement',
        ],
        ['tailrace query', 'a prompt with history and completion'],
        [
          'tailrace query --format parquet --output errors.parquet --file errors.sql',
          'a file for other tools',
        ],
        ['tailrace query --at 2026-11-24T10:00:00Z "from pg"', 'as the tables were at a time'],
      ],
    },
  )
    .argument('[sql]', 'the statement; `-` or nothing: from standard input, or a prompt on a terminal')
    .option('--file <file>', 'read the statement from a file')
    .addOption(pipelineOption())
    .addOption(tableVersionOption())
    .addOption(atOption().conflicts('tableVersion'))
    .addOption(formatOption())
    .addOption(jsonOption().conflicts('format'))
    .option('--output <file>', 'write the result to a file, complete or not at all')
    .addOption(wideOption())
    .option('--unsafe', 'allow any statement, with the permissions of this process')
    .action((sql, { file, tableVersion, at, ...flags }) =>
      runner.withConfig(async (context) => {
        const [{ promptForQueries, query }, { readStatement }] = await Promise.all([
          import('../query.ts'),
          import('../querying/statement-text.ts'),
        ])
        const options = { ...flags, version: tableVersion, timestampMs: at }
        const statement = await readStatement({ sql, file, hasInput: context.terminal.hasInput })
        return statement === undefined
          ? promptForQueries(context, options)
          : query(context, statement, options)
      }),
    )

  addCommand(
    program,
    'search',
    'Search the records of PostgreSQL logs, and print them in the order of their time.',
    {
      examples: [
        ['tailrace search deadlock --since 2h', 'the messages, details and statements of the last two hours'],
        [
          'tailrace search --severity ERROR,FATAL --db orders -C 3',
          'with three records of the session around each',
        ],
        ['tailrace search "connection lost" --server primary --follow', 'and those that land from now on'],
      ],
      exitCodes: [130, 143],
    },
  )
    .argument('[text]', 'part of a message, detail, hint, context or statement, in any case; default: any')
    .option('--since <time>', 'only records since a time, or since 2h ago', pastInstantMs('--since'))
    .option('--until <time>', 'only records before a time, or before 30m ago', pastInstantMs('--until'))
    .addOption(severityOption())
    .option('--db <name>', 'only records of this database')
    .option('--user <name>', 'only records of this user')
    .option('--server <name>', 'only records of the server of this name or role (primary, replica)')
    .option(
      '-C, --context <n>',
      'also print n records of the same session before and after',
      wholeNumber('--context'),
    )
    .option('--follow', 'print new matches until Ctrl-C')
    .option('--poll <time>', 'time between two searches of --follow; default: 2s', durationMs('--poll'))
    .addOption(pipelineOption())
    .addOption(limitOption('matches, the newest', 100))
    .addOption(jsonOption())
    .addOption(wideOption())
    .action((text, { since, until, severity: severities, db, context: around, poll, ...flags }) =>
      runner.withConfig(async (context) => {
        const { search } = await import('../search.ts')
        const range = { sinceMs: since, untilMs: until }
        return search(context, { ...flags, ...range, text, severities, database: db, around, pollMs: poll })
      }),
    )

  addCommand(program, 'history', 'List the commits of Delta tables, newest first.', {
    examples: [['tailrace history --limit 5', 'the last five commits of each table']],
  })
    .addOption(pipelineOption())
    .addOption(limitOption('commits per table', 50))
    .addOption(jsonOption())
    .action(({ pipeline, limit, json = false }) =>
      runner.withConfig(async (context) => {
        const { history } = await import('../history.ts')
        return history(context, { pipeline, limit, json })
      }),
    )

  addCommand(program, 'optimize', 'Merge the small files of Delta tables.', {
    examples: [['tailrace optimize', 'pipelines may run meanwhile']],
  })
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .action(({ pipeline, json = false }) =>
      runner.withConfig(async (context) => {
        const { optimize } = await import('../optimize.ts')
        return optimize(context, pipeline, json)
      }),
    )

  addCommand(program, 'vacuum', 'List the files that Delta tables no longer need, or delete them.', {
    examples: [
      ['tailrace vacuum', 'list them, and delete nothing'],
      ['tailrace vacuum --delete', 'delete them'],
    ],
  })
    .addOption(pipelineOption())
    .option('--delete', 'delete the files')
    .option(
      '--retain-hours <n>',
      'keep files that versions of the last hours need',
      wholeNumber('--retain-hours'),
    )
    .option(
      '--allow-short-retention',
      'allow less than 168 hours, which can delete files of a write under way',
    )
    .addOption(jsonOption())
    .action(({ pipeline, delete: deletes = false, retainHours, allowShortRetention = false, json = false }) =>
      runner.withConfig(async (context) => {
        const { vacuum } = await import('../vacuum.ts')
        return vacuum(context, {
          pipeline,
          retentionHours: retainHours,
          allowShortRetention,
          deletes,
          json,
        })
      }),
    )

  addCommand(
    program,
    'retain',
    'List the old days of Delta tables, or delete their rows as whole partitions.',
    {
      examples: [
        ['tailrace retain --days 90', 'list the days before the last 90, and delete nothing'],
        ['tailrace retain --days 90 --delete', 'keep today and the 90 days before it'],
      ],
    },
  )
    .addOption(pipelineOption())
    .requiredOption(
      '--days <n>',
      'days before today (UTC) that are kept',
      wholeNumber('--days', retainDaysBounds.min, retainDaysBounds.max),
    )
    .option('--delete', 'delete the rows of these days')
    .option('--allow-empty', 'trust the clock of this machine alone, also if no day remains')
    .addOption(jsonOption())
    .action(({ pipeline, days, delete: deletes = false, allowEmpty = false, json = false }) =>
      runner.withConfig(async (context) => {
        const { retain } = await import('../retain.ts')
        return retain(context, { pipeline, days, allowEmpty, deletes, json })
      }),
    )

  const tables = refuseMistakes(program.command('tables'))
    .description('Create the tables of the config.')
    .helpCommand(false)
  addCommand(tables, 'create', 'Create missing tables, or print their SQL.', {
    examples: [
      ['tailrace tables create --print', 'the statements, for an administrator of the workspace'],
      ['tailrace tables create --views > views.sql', 'the views over the tables, for Databricks or Spark'],
    ],
  })
    .addOption(pipelineOption())
    .option('--print', 'print the SQL instead of executing it')
    .option('--views', 'print the SQL of the views over the tables, which exist already')
    .action(({ pipeline, print = false, views = false }) =>
      runner.withConfig(async (context) => {
        const { createTables, printViews } = await import('../tables.ts')
        if (views) return printViews(context, pipeline)
        return createTables(context, { pipeline, printsOnly: print })
      }),
    )

  const intent = refuseMistakes(program.command('intent'))
    .description('Show and end loads into a Databricks table that a crash has left unclear.')
    .helpCommand(false)
  addCommand(intent, 'show', 'List the loads that have begun and not ended.', {
    examples: [['tailrace intent show', 'the ranges of each load; reads the offset files only']],
  })
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .action((flags) =>
      runner.withConfig(async (context) => {
        const { showIntents } = await import('../intents.ts')
        return showIntents(context, flags)
      }),
    )
  addCommand(intent, 'discard', 'End a load that no start could settle, so that its blobs are read again.', {
    examples: [
      ['tailrace intent discard --pipeline primary', 'if the table has no row of its ranges, or all of them'],
      [
        'tailrace intent discard --pipeline primary --remove-rows',
        'remove its rows, and land the ranges again',
      ],
    ],
  })
    .requiredOption('--pipeline <name>', 'the pipeline; it must not be running')
    .option('--batch <id>', 'which load, when there are several')
    .option('--remove-rows', 'remove the rows of its ranges where they are not those of the load, each once')
    .action((flags) =>
      runner.withConfig(async (context) => {
        const { discardIntent } = await import('../intents.ts')
        return discardIntent(context, flags)
      }),
    )

  const databricks = refuseMistakes(program.command('databricks'))
    .description('Prepare a Databricks workspace.')
    .helpCommand(false)
  addCommand(
    databricks,
    'setup',
    'Print the commands and the SQL that an administrator of the workspace runs.',
    {
      examples: [
        [
          'tailrace databricks setup --print > setup.txt',
          'for the config: identity, warehouse, volume, tables, grants',
        ],
        [
          'tailrace databricks setup --print --principal 6f1d2c1e-…',
          'for a config that does not name its identity',
        ],
      ],
    },
  )
    .addOption(pipelineOption())
    .requiredOption('--print', 'print them; Tailrace itself makes no identity and grants no right')
    .option('--principal <id>', 'application id of the service principal; default: as in sink.auth')
    .action(({ pipeline, principal }) =>
      runner.withConfig(async (context) => {
        const { printSetup } = await import('../databricks-setup.ts')
        return printSetup(context, { pipeline, principal })
      }),
    )
}

const formatOption = () =>
  new Option('--format <name>', 'print the result in this format; default: table').choices([
    ...textFormats,
    'parquet',
  ] as const)

/** Not variadic: it would take the searched text behind it as one more name. */
const severityOption = () =>
  new Option('--severity <names>', 'only records of these severities, such as ERROR,FATAL').argParser(
    (text, before: readonly string[] = []) => [...before, ...text.toUpperCase().split(',')],
  )

const tableVersionOption = () =>
  new Option('--table-version <n>', 'read Delta tables at this version').argParser(
    wholeNumber('--table-version'),
  )

const atOption = () =>
  new Option('--at <time>', 'read Delta tables at their version of this time').argParser(instantMs('--at'))
