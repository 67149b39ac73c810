import { join } from 'node:path'
import { chooseDeltaPipelines } from '../config/choose-pipelines.ts'
import { type DeltaPipeline, tableLocation } from '../config/resolve.ts'
import type { DeltaStorage } from '../sinks/delta/storage/delta-storage.ts'
import { locationText } from '../sinks/delta/storage/location.ts'
import { lookingStorage } from '../sinks/delta/storage/open.ts'
import type { EmbeddedEngine } from '../sinks/encoding/engine.ts'
import { withMaintenanceWorkspace } from '../sinks/encoding/engine-session.ts'
import type { CommandContext } from './command.ts'

/** One table of the config, with what its maintenance needs. */
export interface MaintainedTable {
  /** The first of its pipelines. */
  readonly pipelineName: string
  readonly pipeline: DeltaPipeline
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** For files under way; it goes away afterwards. */
  readonly stagingDirectory: string
}

const limits = { threads: 2, memoryMiB: 1024 }

/**
 * Maintains each table of the config, or of one pipeline, one after the other; a table that several pipelines share is
 * one. A run may land meanwhile.
 *
 * @param maintain returns undefined when there is no table yet, which is told
 * @throws USAGE when there is no pipeline `only`
 */
export async function forEachTable<Report>(
  { config, clock, logger }: CommandContext,
  only: string | undefined,
  maintain: (table: MaintainedTable) => Promise<Report | undefined>,
): Promise<{ readonly pipeline: string; readonly report: Report }[]> {
  const reports: { pipeline: string; report: Report }[] = []
  const seen = new Set<string>()
  for (const [pipelineName, pipeline] of chooseDeltaPipelines(
    config,
    only,
    'run OPTIMIZE or VACUUM there, or leave both to predictive optimization',
  )) {
    const location = locationText(tableLocation(pipeline))
    if (seen.has(location)) continue
    seen.add(location)
    const staging = join(config.stateDirectory, 'staging', pipelineName)
    const report = await withMaintenanceWorkspace(staging, limits, ({ engine, directory }) =>
      maintain({
        pipelineName,
        pipeline,
        storage: lookingStorage(pipeline, directory, clock),
        engine,
        stagingDirectory: directory,
      }),
    )
    if (report !== undefined) reports.push({ pipeline: pipelineName, report })
    else {
      logger.warn({ pipeline: pipelineName, table: location }, 'there is no table yet: a run creates it')
    }
  }
  return reports
}
