import { withMaintenanceWorkspace } from '../../encoding/engine-session.ts'
import type { SinkMaintenance } from '../../sink.ts'
import { type DeltaOptions, defaultOptimize } from '../options.ts'
import { commandStorage } from '../storage/open.ts'
import { optimizeTable } from './optimize-table.ts'
import { retainTable } from './retain-table.ts'
import { vacuumTable } from './vacuum-table.ts'

const limits = { threads: 2, memoryMiB: 1024 }

/** Maintenance of a Delta table by a command; a run may land meanwhile. */
export const deltaMaintenance: SinkMaintenance<DeltaOptions> = {
  optimize: ({ target, stagingDirectory, clock }) =>
    withMaintenanceWorkspace(stagingDirectory, limits, ({ engine, directory }) => {
      // The config can turn merging off for runs; its other rules do not matter then.
      const { targetBytes, sortByTime } = target.sink.optimize || defaultOptimize
      return optimizeTable({
        storage: commandStorage(target, directory, clock),
        engine,
        stagingDirectory: directory,
        clock,
        random: Math.random,
        targetBytes,
        sortByTime,
        minFiles: 2,
        isGrowing: false,
        mayContinue: () => true,
      })
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
