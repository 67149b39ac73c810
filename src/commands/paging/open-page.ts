import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { pageSchema } from '../../config/schema.ts'
import { TailraceError } from '../../errors.ts'
import { packageFile } from '../../package.ts'
import type { VerifyResult } from '../../page/api.ts'
import { RecordCounts } from '../../page/logs/counts/record-counts.ts'
import { LogTables } from '../../page/logs/log-tables.ts'
import { readTableCatalog } from '../../page/logs/table-catalog.ts'
import { requireToken } from '../../page/page-address.ts'
import { PageServer } from '../../page/page-server.ts'
import type { PageStatements } from '../../page/sql/page-statements.ts'
import { chooseEngine } from '../../run/inspection/choose-engine.ts'
import { verifyRows } from '../../run/inspection/verify.ts'
import type { QuerySession } from '../../sinks/query-session.ts'
import type { CommandContext } from '../command.ts'
import { operateReader } from './operate-state.ts'
import { remoteStatements } from './remote-statements.ts'

export type PageSettings = ReturnType<typeof pageSchema.parse>

/** Statements that run at once: of two, one stays free for the rooms while a long one runs. */
const engines = 2

/** A statement of a person keeps an engine no longer. */
const maxStatementMs = 60_000

/** What each engine writes to disk beyond its memory, beside a run that needs the disk. */
const maxSpillMiB = 2_048

/** Statements that may wait for an engine. */
const maxWaiting = 32

/** Statements of one screen come together, so a version this old is new enough. */
const freshMs = 300

/** The tables of a config, and the engines that read them. */
export interface OpenedTables {
  /** Undefined when other engines than that of this process have the tables. */
  readonly session: QuerySession | undefined
  /** A text: why the tables cannot be read from here, and what to do. */
  readonly tables: LogTables | string
  /** Undefined when there is no engine for statements of a person. */
  readonly statements: PageStatements | undefined
}

/**
 * Opens engines over the tables of the config.
 *
 * @throws USAGE when there is no pipeline `only`
 */
export async function openTables(
  context: CommandContext,
  only: string | undefined,
  memoryMiB: number,
): Promise<OpenedTables> {
  const { clock, logger, config } = context
  const { ability, targets } = chooseEngine(context, only)
  if (ability.openSession === undefined) {
    const names = targets.map(({ name }) => name).join(', ')
    const tables = `The tables of ${names} are in a Databricks workspace. Explore and Report would ask its SQL warehouse again and again, which keeps it running and costs money, so they ask nothing. Ask and tailrace query run single statements there, tailrace search finds records, and the views of the workspace give the figures of the report.`
    return { session: undefined, tables, statements: remoteStatements(ability, targets, { clock, logger }) }
  }
  const options = {
    engines,
    threads: Math.min(2, availableParallelism()),
    memoryMiB: Math.floor(memoryMiB / engines),
    maxSpillMiB,
    maxWaiting,
    freshMs,
    clock,
    logger,
  }
  const session = ability.openSession(targets, options)
  const tables = new LogTables(session, targets, {
    tableId: (target) => config.pipelines[target.name]!.sinkKind.tableId(target),
    relationOf: (target) => ability.relationOf(target),
  })
  if (tables.all.length > 0) {
    const declarations = Object.values(config.pipelines).map(({ table }) => table)
    const statements: PageStatements = {
      note: undefined,
      limit: { maxMs: maxStatementMs, remedy: 'Select a shorter time or fewer rows, or export the result.' },
      catalog: (signal) => readTableCatalog(tables, declarations, signal),
      run: (statement) => session.run(statement),
      writeParquet: (statement, path) => session.writeParquet(statement, path),
    }
    return { session, tables, statements }
  }
  await session.close()
  return {
    session: undefined,
    statements: undefined,
    tables: 'No table of the config has the columns of PostgreSQL logs: use tailrace query.',
  }
}

/**
 * Makes the server of the page, which listens nowhere yet.
 *
 * @throws PAGE_UNAVAILABLE, USAGE
 */
export async function openPage(
  context: CommandContext,
  only: string | undefined,
  settings: PageSettings,
): Promise<{ readonly server: PageServer; close(): Promise<void> }> {
  requireToken(settings)
  const { config, clock, logger } = context
  const { session, tables, statements } = await openTables(context, only, settings.memoryMiB)
  let verifying: Promise<VerifyResult> | undefined
  const server = PageServer.create({
    access: settings,
    tables,
    counts:
      session &&
      new RecordCounts({
        session,
        directory: join(config.stateDirectory, 'page-counts'),
        clock,
        logger,
      }),
    statements,
    operate: operateReader(config, clock),
    verify: (pipeline, signal) => {
      if (verifying !== undefined) throw new TailraceError('QUERY_BUSY', 'A verification runs already.')
      verifying = verify(context, pipeline, signal).finally(() => {
        verifying = undefined
      })
      return verifying
    },
    uiDirectory: fileURLToPath(packageFile('dist/page/ui')),
    clock,
    logger,
  })
  return {
    server,
    close: async () => {
      await server.close()
      await session?.close()
    },
  }
}

async function verify(
  { config, clock, logger }: CommandContext,
  pipeline: string | undefined,
  signal: AbortSignal,
): Promise<VerifyResult> {
  const begunAtMs = clock.now()
  const report = await verifyRows({ config, clock, logger }, pipeline, signal)
  return { ...report, elapsedMs: clock.now() - begunAtMs }
}
