import { chooseTables } from '../config/choose-pipelines.ts'
import { printTable } from '../reporting/row-printer.ts'
import type { CommitSummary } from '../sinks/table-reports.ts'
import type { CommandContext } from './command.ts'

export interface HistoryOptions {
  readonly pipeline?: string | undefined
  /** Maximum number of commits to list per table, newest first. */
  readonly limit: number
  readonly json: boolean
}

/** Lists the commits of tables, newest first, as far back as their logs reach. */
export async function history(
  { config, clock, logger, print }: CommandContext,
  { pipeline: only, limit, json }: HistoryOptions,
): Promise<number> {
  const { stateDirectory } = config
  for (const { target, ability } of chooseTables(config, only, (sink) => sink.history)) {
    const { name } = target
    const found = await ability.read({ target, stateDirectory, clock, logger }, limit)
    if (json) {
      for (const { timeMs, ...commit } of found?.commits ?? []) {
        await print(`${JSON.stringify({ pipeline: name, time: isoTime(timeMs), ...commit })}\n`)
      }
    } else if (found === undefined) await print(`${name}: the table does not exist yet\n`)
    else {
      await print(`${name}: the log has versions ${found.firstVersion} to ${found.lastVersion}\n`)
      await printTable(print, columns, found.commits.map(commitRow))
    }
  }
  return 0
}

const columns = ['version', 'time', 'operation', 'parameters', 'rows', 'files', 'engine']

function commitRow(commit: CommitSummary): unknown[] {
  const { version, timeMs, operation, parameters, addedRows, addedFiles, removedFiles, engine } = commit
  return [
    version,
    isoTime(timeMs),
    operation,
    Object.entries(parameters)
      .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' '),
    addedRows === undefined ? '' : `+${addedRows}`,
    `+${addedFiles} -${removedFiles}`,
    engine,
  ]
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
