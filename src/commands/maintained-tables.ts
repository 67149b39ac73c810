import { join } from 'node:path'
import { chooseTables } from '../config/choose-pipelines.ts'
import type { MaintenanceContext, SinkMaintenance } from '../sinks/sink.ts'
import type { CommandContext } from './command.ts'

/**
 * Calls `maintain` for each table of the config, or of one pipeline, in turn. A table that several pipelines share is
 * maintained once, as that of the first. Pipelines may be running.
 *
 * @param maintain returns undefined when the table does not exist yet, which is logged
 * @throws USAGE when there is no pipeline `only`, or no table that Tailrace maintains
 */
export async function maintainTables<Report>(
  { config, clock, logger }: CommandContext,
  only: string | undefined,
  maintain: (maintenance: SinkMaintenance, context: MaintenanceContext) => Promise<Report | undefined>,
): Promise<{ readonly pipeline: string; readonly report: Report }[]> {
  const { stateDirectory } = config
  const reports: { pipeline: string; report: Report }[] = []
  const seen = new Set<string>()
  for (const { target, tableId: table, ability } of chooseTables(
    config,
    only,
    ({ maintenance }) => maintenance,
  )) {
    if (seen.has(table)) continue
    seen.add(table)
    const { name } = target
    const stagingDirectory = join(stateDirectory, 'staging', name)
    const report = await maintain(ability, { target, stateDirectory, stagingDirectory, clock, logger })
    if (report !== undefined) reports.push({ pipeline: name, report })
    else logger.warn({ pipeline: name, table }, 'the table does not exist yet: a run creates it')
  }
  return reports
}
