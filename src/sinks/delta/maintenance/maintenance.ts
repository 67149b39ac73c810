import { OffsetFile } from '../../../offsets/offset-file.ts'
import { generationKey } from '../../../records.ts'
import { withMaintenanceWorkspace } from '../../encoding/engine-session.ts'
import type { SinkMaintenance } from '../../sink.ts'
import { ParquetArchiveFiles } from '../archive/parquet-archive-files.ts'
import { type DeltaOptions, defaultOptimize, offsetsTableOf } from '../options.ts'
import { commandStorage } from '../storage/open.ts'
import { archiveOffsets, archiveRules } from './archive-offsets.ts'
import { optimizeTable } from './optimize-table.ts'
import { retainTable } from './retain-table.ts'
import { vacuumTable } from './vacuum-table.ts'

const limits = { threads: 2, memoryMiB: 1024 }

/** Maintenance of a Delta table by a command; a run may land meanwhile. */
export const deltaMaintenance: SinkMaintenance<DeltaOptions> = {
  optimize: ({ target, stateDirectory, stagingDirectory, clock }) =>
    withMaintenanceWorkspace(stagingDirectory, limits, async ({ engine, directory }) => {
      // The config can turn merging off for runs; its other rules do not matter then.
      const { targetBytes, sortByTime } = target.sink.optimize || defaultOptimize
      const storage = commandStorage(target, directory, clock)
      const context = { storage, engine, stagingDirectory: directory, clock, random: Math.random }
      const report = await optimizeTable({
        ...context,
        targetBytes,
        sortByTime,
        minFiles: 2,
        isGrowing: false,
        mayContinue: () => true,
      })
      const rules = archiveRules(target.sink)
      if (report === undefined || rules === undefined) return report
      const table = offsetsTableOf(target)
      const offsetFile = new OffsetFile({ stateDirectory, pipeline: target.name, table })
      const marks = new Map((await offsetFile.readMarks()).map((mark) => [generationKey(mark), mark]))
      // Without the offset file, as on another machine, the archive would lack all of them.
      if (marks.size === 0) return { ...report, archivedOffsets: 0 }
      const archived = await archiveOffsets({
        ...context,
        ...rules,
        files: new ParquetArchiveFiles(context),
        markOf: (source) => marks.get(generationKey(source)),
      })
      return { ...report, archivedOffsets: archived?.offsets ?? 0 }
    }),

  retain: ({ target, stagingDirectory, clock }, request) =>
    withMaintenanceWorkspace(stagingDirectory, limits, ({ engine, directory }) =>
      retainTable({
        ...request,
        storage: commandStorage(target, directory, clock),
        engine,
        clock,
        random: Math.random,
      }),
    ),

  vacuum: ({ target, stagingDirectory, clock }, request) =>
    withMaintenanceWorkspace(stagingDirectory, limits, ({ engine, directory }) =>
      vacuumTable({ ...request, storage: commandStorage(target, directory, clock), engine, clock }),
    ),
}
