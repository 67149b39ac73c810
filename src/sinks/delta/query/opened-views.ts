import { TailraceError } from '../../../errors.ts'
import { type CommandEngine, openCommandEngine } from '../../encoding/engine-session.ts'
import type { SessionRequest } from '../../sink.ts'
import type { DeltaTarget } from '../options.ts'
import { commitPath } from '../protocol/actions.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { tableLocation } from '../storage/location.ts'
import { commandStorage } from '../storage/open.ts'
import { createViews, type LakehouseView } from './views.ts'

/** An engine with views of tables, none of which has rows yet. */
export interface OpenedViews extends CommandEngine {
  readonly views: readonly LakehouseView[]
  /** @returns whether every table is still at the version of its view, by one request for each */
  areCurrent(): Promise<boolean>
}

/**
 * Opens an engine with views of the targets' tables, confined unless the request is unsafe.
 *
 * @throws USAGE when a version is given for several tables, because tables number their versions independently
 */
export async function openViews(
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
