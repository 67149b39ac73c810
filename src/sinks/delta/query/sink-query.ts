import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TailraceError } from '../../../errors.ts'
import { SerialQueue } from '../../../offsets/serial-queue.ts'
import { outputFailed } from '../../../reporting/terminal.ts'
import { type CommandEngine, openCommandEngine } from '../../encoding/engine-session.ts'
import type { QuerySession, SessionRequest, SessionStatement, SinkQuery } from '../../sink.ts'
import type { DeltaOptions, DeltaTarget } from '../options.ts'
import { commitPath } from '../protocol/actions.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { tableLocation } from '../storage/location.ts'
import { commandStorage } from '../storage/open.ts'
import { copyToParquet, logReadings, queryViews } from './query.ts'
import { createViews, type LakehouseView, viewOf } from './views.ts'

/** Statements over Delta tables, which the embedded engine runs. */
export const deltaQuery: SinkQuery<DeltaOptions> = {
  engineOf: () => undefined,
  dialect: 'duckdb',
  relationOf: ({ name }) => viewOf(name),

  run: async (targets, request) => {
    const session = new DeltaQuerySession(targets, request)
    await session.run(request).finally(() => session.close())
  },

  openSession: (targets, request) => new DeltaQuerySession(targets, request),

  writeParquet: async (targets, request, path) => {
    const { engine, views, temporaryDirectory, close } = await openViews(targets, request)
    try {
      // A confined engine writes nowhere else.
      const written = join(temporaryDirectory, 'result.parquet')
      logReadings(await copyToParquet(engine, views, request, written), request.logger)
      await copyFile(written, path).catch((error: unknown) => {
        throw outputFailed(path, error)
      })
    } finally {
      await close()
    }
  },
}

/** Statements over Delta tables by one engine, whose views are created again only when a table has a new version. */
class DeltaQuerySession implements QuerySession {
  readonly #targets: readonly DeltaTarget[]
  readonly #request: SessionRequest
  readonly #queue = new SerialQueue()
  #opened: OpenedViews | undefined

  constructor(targets: readonly DeltaTarget[], request: SessionRequest) {
    this.#targets = targets
    this.#request = request
  }

  run(statement: SessionStatement): Promise<void> {
    return this.#queue.run(async () => {
      const { unsafe, logger } = this.#request
      const { engine, views } = await this.#currentViews()
      try {
        const { sql, take, signal } = statement
        logReadings(await queryViews(engine, views, sql, { unsafe, take, signal }), logger)
      } finally {
        // A statement that may change anything leaves its views filled.
        if (unsafe) await this.#closeViews()
      }
    })
  }

  close(): Promise<void> {
    return this.#queue.run(() => this.#closeViews())
  }

  async #currentViews(): Promise<OpenedViews> {
    if (this.#opened !== undefined && !(await this.#opened.areCurrent())) await this.#closeViews()
    this.#opened ??= await openViews(this.#targets, this.#request)
    return this.#opened
  }

  async #closeViews(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.close()
  }
}

/** An engine with views of tables, none of which has rows yet. */
interface OpenedViews extends CommandEngine {
  readonly views: readonly LakehouseView[]
  /** @returns whether every table is still at the version of its view, by one request for each */
  areCurrent(): Promise<boolean>
}

/**
 * Opens an engine with views of the targets' tables, confined unless the request is unsafe.
 *
 * @throws USAGE when a version is given for several tables, because tables number their versions independently
 */
async function openViews(
  targets: readonly DeltaTarget[],
  { unsafe, moment, clock }: Omit<SessionRequest, 'logger'>,
): Promise<OpenedViews> {
  if (moment.version !== undefined && targets.length > 1) {
    const names = targets.map(({ name }) => name).join(', ')
    throw new TailraceError('USAGE', `--table-version needs --pipeline: the config has ${names}.`)
  }
  // Files of tables in Azure are copied, so only the directories on this machine are opened to the statement.
  const directories = targets.flatMap((target) => {
    const location = tableLocation(target)
    return location.kind === 'directory' ? [location.path] : []
  })
  const opened = await openCommandEngine()
  const { engine, temporaryDirectory } = opened
  const storages = new Map<string, DeltaStorage>()
  const openStorage = (target: DeltaTarget): DeltaStorage => {
    const storage = commandStorage(target, temporaryDirectory, clock)
    storages.set(target.name, storage)
    return storage
  }
  try {
    const views = await createViews(engine, targets, openStorage, moment)
    if (!unsafe) await engine.confine([temporaryDirectory, ...directories])
    const isFixed = moment.version !== undefined || moment.timestampMs !== undefined
    return {
      ...opened,
      views,
      areCurrent: async () =>
        isFixed || !(await Promise.all([...storages].map(hasNewVersion))).includes(true),
    }

    function hasNewVersion([pipeline, storage]: [string, DeltaStorage]): Promise<boolean> {
      const version = views.find((view) => view.pipeline === pipeline)?.contents.tableVersion ?? -1
      return storage.read(commitPath(version + 1)).then((commit) => commit !== undefined)
    }
  } catch (error) {
    await opened.close()
    throw error
  }
}
