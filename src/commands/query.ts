import { rename, rm } from 'node:fs/promises'
import { unsupportedError } from '../config/choose-pipelines.ts'
import { TailraceError } from '../errors.ts'
import type { TextFormat } from '../reporting/text-formats.ts'
import { type ChosenEngine, chooseEngine } from '../run/inspection/choose-engine.ts'
import type { SessionOptions, TableMoment } from '../sinks/query-session.ts'
import type { CommandContext } from './command.ts'
import { partialPath, resultsPrinter, standardPrint, withResultFile } from './querying/result-output.ts'

export interface QueryOptions extends TableMoment {
  /** Query only the table of this pipeline. */
  readonly pipeline?: string | undefined
  /** Default: `ndjson` with `json`, otherwise `table`. */
  readonly format?: TextFormat | 'parquet' | undefined
  readonly json?: boolean | undefined
  /** Write the result to this file. Default: to standard output. */
  readonly output?: string | undefined
  /** Print cells of a table whole. Default false. */
  readonly wide?: boolean | undefined
  /** Allow any statement, with the permissions of this process. Default false. */
  readonly unsafe?: boolean | undefined
}

/**
 * Runs one SQL statement over the tables of the config, and prints its rows while they arrive. If all tables are in one
 * Databricks workspace, its warehouse executes the unchanged statement. Otherwise the embedded engine executes it; unless
 * `unsafe` is set, it can read nothing but the tables, and change nothing.
 *
 * @throws USAGE when a version is given for several tables, because each table counts its own versions
 * @throws OUTPUT_FAILED
 */
export async function query(context: CommandContext, sql: string, options: QueryOptions): Promise<number> {
  const { pipeline, json = false, format = json ? 'ndjson' : 'table', output, wide, unsafe = false } = options
  const { version, timestampMs } = options
  const engine = chooseEngine(context, pipeline)
  const { clock, logger } = context
  const request = { unsafe, moment: { version, timestampMs }, clock, logger }
  if (format === 'parquet') await writeParquet(engine, sql, request, output)
  else {
    const run = async (print: CommandContext['print']): Promise<void> => {
      const { take, end } = resultsPrinter(print, { format, wide })
      await engine.ability.run(engine.targets, { ...request, sql, take })
      await end()
    }
    if (output === undefined) await run(standardPrint(context, format))
    else await withResultFile(output, run)
  }
  return 0
}

/** Asks a person for statements and runs each. @returns the exit code: 0 */
export async function promptForQueries(context: CommandContext, options: QueryOptions): Promise<number> {
  const { pipeline, json = false, format = json ? 'ndjson' : 'table', wide = false, unsafe = false } = options
  if (format === 'parquet' || options.output !== undefined) {
    throw new TailraceError('USAGE', 'A result file needs a statement on the command line.')
  }
  const { version, timestampMs } = options
  const { QueryPrompt } = await import('./querying/prompt.ts')
  const prompt = new QueryPrompt(context, chooseEngine(context, pipeline), {
    moment: { version, timestampMs },
    unsafe,
    format,
    wide,
  })
  return prompt.run()
}

/** @throws USAGE without a file, and where another engine than that of this process runs the statement */
async function writeParquet(
  { ability, targets }: ChosenEngine,
  sql: string,
  options: SessionOptions,
  output: string | undefined,
): Promise<void> {
  if (output === undefined) throw new TailraceError('USAGE', '--format parquet needs --output FILE.')
  const session = ability.openSession?.(targets, options)
  if (session === undefined) {
    throw unsupportedError(
      targets.map(({ name }) => name),
      { because: 'is queried by an engine that returns rows only: use --format csv or ndjson' },
    )
  }
  const partial = partialPath(output)
  try {
    await session.writeParquet({ sql }, partial)
    await rename(partial, output)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    await session.close()
  }
}
