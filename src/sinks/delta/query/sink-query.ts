import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { outputFailed } from '../../../reporting/terminal.ts'
import type { SinkQuery } from '../../sink.ts'
import type { DeltaOptions } from '../options.ts'
import { openViews } from './opened-views.ts'
import { copyToParquet, logReadings } from './query.ts'
import { DeltaQuerySession } from './session.ts'
import { viewOf } from './views.ts'

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
