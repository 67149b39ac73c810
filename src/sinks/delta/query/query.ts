import { TailraceError } from '../../../errors.ts'
import { withEngine } from '../../encoding/engine-session.ts'
import type { SinkQuery } from '../../sink.ts'
import type { DeltaOptions } from '../options.ts'
import { tableLocation } from '../storage/location.ts'
import { commandStorage } from '../storage/open.ts'
import { queryViews } from './run.ts'
import { createViews } from './views.ts'

/** Statements over Delta tables, which the embedded engine runs. */
export const deltaQuery: SinkQuery<DeltaOptions> = {
  engineOf: () => undefined,

  async run(targets, { sql, unsafe, moment, take, clock, logger }) {
    // Tables number their versions independently.
    if (moment.version !== undefined && targets.length > 1) {
      const names = targets.map(({ name }) => name).join(', ')
      throw new TailraceError('USAGE', `--version needs --pipeline: the config has ${names}.`)
    }
    // Files of tables in Azure are copied, so only the directories on this machine are opened to the statement.
    const directories = targets.flatMap((target) => {
      const location = tableLocation(target)
      return location.kind === 'directory' ? [location.path] : []
    })
    const readings = await withEngine(async (engine, temporaryDirectory) => {
      const views = await createViews(
        engine,
        targets,
        (target) => commandStorage(target, temporaryDirectory, clock),
        moment,
      )
      if (!unsafe) await engine.confine([temporaryDirectory, ...directories])
      return queryViews(engine, views, sql, { unsafe, take })
    })
    for (const reading of readings) {
      if (reading.readFiles > 0) logger.debug(reading, 'read files of a table')
    }
  },
}
