import type { Logger } from '../../../reporting/logger.ts'
import { interactiveRetry } from '../../../retry.ts'
import { qualifiedName } from '../../../tables/spark-sql.ts'
import type { SinkContext } from '../../sink.ts'
import { openWorkspace, type Workspace } from '../open-workspace.ts'
import { type DatabricksOptions, type DatabricksTarget, prefersTransactions } from '../options.ts'
import type { VolumeStaging } from '../staging/volume-staging.ts'
import { OffsetsTable } from '../transactions/offsets-table.ts'
import { rowsOnceName } from '../zerobus/rows-once.ts'

/**
 * Removes a scratch table, its offsets and its staged files. The offsets table stays: other pipelines may use it by now.
 *
 * Logs each file that stays.
 *
 * @throws the first failure, after the table and the files were tried
 */
export async function removeScratch({
  target,
  clock,
  logger,
}: SinkContext<DatabricksOptions>): Promise<void> {
  const workspace = await openWorkspace(target, { retry: { policy: interactiveRetry }, clock, logger })
  try {
    const ends = await Promise.allSettled([
      removeTable(workspace, target),
      workspace.staging === undefined ? undefined : removeStaging(workspace, workspace.staging, logger),
    ])
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  } finally {
    await workspace.close()
  }
}

async function removeTable({ warehouse }: Workspace, { name, sink, table }: DatabricksTarget): Promise<void> {
  if (warehouse === undefined || sink.mode === 'stage-only') return
  await warehouse.execute({
    label: 'drop the scratch table',
    sql: `DROP TABLE IF EXISTS ${qualifiedName(table.name)}`,
    repeatable: true,
  })
  if (sink.mode === 'zerobus') {
    await warehouse.execute({
      label: 'drop the scratch view',
      sql: `DROP VIEW IF EXISTS ${qualifiedName(rowsOnceName(table.name))}`,
      repeatable: true,
    })
  }
  if (!prefersTransactions(sink)) return
  const offsets = new OffsetsTable(warehouse, table.name, name)
  if (await offsets.exists()) await offsets.forgetTarget()
}

/** Removes the files and then the folders, and the pipeline's own folder if nothing else is in it. */
async function removeStaging(
  { api }: Pick<Workspace, 'api'>,
  staging: VolumeStaging,
  logger: Logger,
): Promise<void> {
  const { folder } = staging
  for (const inner of await removeFiles(staging, '', logger)) await api.removeFolder(`${folder}/${inner}`)
  await api.removeFolder(folder)
  await api.removeFolder(folder.slice(0, folder.lastIndexOf('/')))
}

/** @returns the folders below, inner ones first */
async function removeFiles(
  staging: VolumeStaging,
  folder: string,
  logger: Logger,
): Promise<readonly string[]> {
  const { files, folders } = await staging.list(folder)
  for (const { name } of files) {
    await staging.remove(name).catch((error: unknown) => {
      logger.error({ file: `${staging.folder}/${name}`, err: error }, 'a file of the check was not removed')
      throw error
    })
  }
  let below: readonly string[] = []
  for (const inner of folders) below = [...below, ...(await removeFiles(staging, inner, logger)), inner]
  return below
}
