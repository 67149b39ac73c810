import { unsupportedError } from '../config/choose-pipelines.ts'
import { type ChosenEngine, chooseEngine } from '../run/inspection/choose-engine.ts'
import { openStatements, type Statements } from '../run/inspection/statements.ts'
import { exitCodeOf } from '../run/process-end.ts'
import type { CommandContext } from './command.ts'
import { FollowedMatches } from './searching/followed-matches.ts'
import {
  type FoundRecord,
  type LineStyle,
  millisecondsOf,
  recordKey,
  recordLines,
} from './searching/found-record.ts'
import { RecordReader } from './searching/record-reader.ts'
import { isSearchable, matchesSql, type SearchFilter, sessionsSql } from './searching/search-sql.ts'
import { SessionContext, type ShownRecord } from './searching/session-context.ts'

export interface SearchOptions extends SearchFilter {
  readonly pipeline?: string | undefined
  /** Records of the same session to show before and after each match. Default 0. */
  readonly around?: number | undefined
  /** Maximum number of matches, the newest ones. Later ones that `follow` finds do not count. */
  readonly limit: number
  /** Print new matches until a signal. Default false. */
  readonly follow?: boolean | undefined
  /** Time between two searches for new matches, in milliseconds. Default 2,000. */
  readonly pollMs?: number | undefined
  readonly json?: boolean | undefined
  /** Print texts whole. Default false. */
  readonly wide?: boolean | undefined
}

/** A session's records further from a match than this are not shown, so that not all of its files are read. */
const maxContextMs = 3_600_000

const maxTextWidth = 200

/**
 * Searches the tables of PostgreSQL logs, and prints the matches in the order of their time.
 *
 * @returns the exit code: 0, or that of the signal that ended `follow`
 * @throws USAGE when no table has the columns of PostgreSQL logs
 */
export async function search(context: CommandContext, options: SearchOptions): Promise<number> {
  const engine = chooseEngine(context, options.pipeline)
  const { clock, logger } = context
  const session = openStatements(engine, { clock, logger })
  try {
    return await searchTables(context, options, await searchedTables(context, engine, session))
  } finally {
    await session.close()
  }
}

async function searchTables(
  context: CommandContext,
  options: SearchOptions,
  tables: readonly RecordReader[],
): Promise<number> {
  const printer = new RecordPrinter(context, options)
  const followed = tables.map((table) => new FollowedMatches(table, options, context.logger))
  // Before the search, not after it: what lands in between is in both, and nothing is in neither.
  if (options.follow === true) for (const matches of followed) await matches.fresh()
  const found: (readonly ShownRecord[])[] = []
  let matches = 0
  for (const one of followed) {
    const { table } = one
    const records = await table.read(matchesSql(table, options, options.limit))
    matches += records.length
    if (options.follow === true) one.note(records)
    for (const group of await withContext(table, records, options.around ?? 0)) found.push(group)
  }
  const newest = newestGroups(found, options.limit)
  await printer.print(newest)
  if (matches > options.limit || (matches === options.limit && matches > 0)) {
    context.logger.warn(
      { limit: options.limit },
      'only the newest matches are shown: --limit raises their number',
    )
  }
  return options.follow === true ? follow(context, options, followed, printer) : 0
}

/** Each table once, also when several pipelines land in it. */
async function searchedTables(
  context: CommandContext,
  { ability, targets }: ChosenEngine,
  session: Statements,
): Promise<readonly RecordReader[]> {
  const { clock, logger } = context
  const { stateDirectory } = context.config
  const searchable = new Map<string, RecordReader | undefined>()
  for (const target of targets.filter(isSearchable)) {
    const { sinkKind } = context.config.pipelines[target.name] as (typeof context.config.pipelines)[string]
    const table = sinkKind.tableId(target)
    if (searchable.has(table)) continue
    const inspection = await sinkKind.inspect({ target, stateDirectory, clock, logger })
    const exists = (await inspection.rows().finally(() => inspection.close())) !== undefined
    if (!exists)
      logger.warn({ pipeline: target.name, table }, 'the table does not exist yet: a run creates it')
    searchable.set(table, exists ? new RecordReader(session, ability, target) : undefined)
  }
  if (searchable.size > 0) return [...searchable.values()].filter((one) => one !== undefined)
  const names = targets.map(({ name }) => name)
  throw unsupportedError(names, { because: 'has no columns of PostgreSQL logs: use tailrace query' })
}

async function withContext(
  table: RecordReader,
  matches: readonly FoundRecord[],
  around: number,
): Promise<readonly (readonly ShownRecord[])[]> {
  const alone = (records: readonly FoundRecord[]) => records.map((record) => [{ record, isMatch: true }])
  if (around === 0) return alone(matches)
  const inSession = matches.filter(({ session_id, event_time }) => session_id !== null && event_time !== null)
  const without = matches.filter((one) => !inSession.includes(one))
  if (inSession.length === 0) return alone(without)
  const times = inSession.map(({ event_time }) => millisecondsOf(event_time))
  const fromMs = times.reduce((first, one) => Math.min(first, one)) - maxContextMs
  const toMs = times.reduce((last, one) => Math.max(last, one)) + maxContextMs
  const sessions = [...new Set(inSession.map(({ session_id }) => String(session_id)))]
  const context = new SessionContext(new Set(inSession.map(recordKey)), around)
  await table.each(sessionsSql(table, sessions, fromMs, toMs), (record) => context.add(record))
  return [...context.groups, ...alone(without)]
}

/** @returns the groups with the newest matches, in the order of their time */
function newestGroups(
  groups: readonly (readonly ShownRecord[])[],
  maxMatches: number,
): readonly (readonly ShownRecord[])[] {
  const timed = groups.map((group) => ({ group, atMs: groupTime(group) })).sort((a, b) => b.atMs - a.atMs)
  const newest: (readonly ShownRecord[])[] = []
  let matches = 0
  for (const { group } of timed) {
    if (matches >= maxMatches) break
    newest.unshift(group)
    matches += group.filter(({ isMatch }) => isMatch).length
  }
  return newest
}

/** A record without a time comes first. */
function groupTime(group: readonly ShownRecord[]): number {
  const first = group.find(({ isMatch }) => isMatch)
  return first === undefined ? 0 : millisecondsOf(first.record.event_time) || 0
}

class RecordPrinter {
  readonly #context: CommandContext
  readonly #options: SearchOptions
  readonly #style: LineStyle
  #hasPrinted = false

  constructor(context: CommandContext, options: SearchOptions) {
    this.#context = context
    this.#options = options
    const { hasColors } = context.terminal
    this.#style = {
      text: options.text,
      hasColors,
      maxWidth: options.wide === true ? undefined : maxTextWidth,
    }
  }

  async print(groups: readonly (readonly ShownRecord[])[]): Promise<boolean> {
    let isRead = true
    for (const group of groups) {
      if (!isRead) break
      isRead = await this.#context.printRaw(this.#text(group))
    }
    return isRead
  }

  #text(group: readonly ShownRecord[]): string {
    if (this.#options.json === true) {
      return group.map(({ record, isMatch }) => `${JSON.stringify({ match: isMatch, ...record })}\n`).join('')
    }
    const isSeparated = this.#hasPrinted && (this.#options.around ?? 0) > 0
    this.#hasPrinted = true
    const lines = group.map(({ record, isMatch }) => recordLines(record, isMatch, this.#style))
    return `${isSeparated ? '--\n' : ''}${lines.join('')}`
  }
}

/** Prints the matches that land from now on, until SIGINT or SIGTERM, or until the reader of the output is gone. */
async function follow(
  { clock }: CommandContext,
  options: SearchOptions,
  followed: readonly FollowedMatches[],
  printer: RecordPrinter,
): Promise<number> {
  const ending = new AbortController()
  const { signal } = ending
  let code = 0
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      code = exitCodeOf(name)
      ending.abort()
    })
  }
  try {
    for (;;) {
      await clock.sleep(options.pollMs ?? 2_000, signal)
      for (const matches of followed) {
        const fresh = await matches.fresh(signal)
        if (!(await printer.print(await withContext(matches.table, fresh, options.around ?? 0)))) return code
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
    return code
  }
}
