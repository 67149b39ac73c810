import { TailraceError } from '../../errors.ts'
import { interactiveRetry } from '../../retry.ts'
import type { SinkContext } from '../sink.ts'
import { hasLandedIn, openTable } from './open-table.ts'
import { openWorkspace } from './open-workspace.ts'
import type { DatabricksOptions } from './options.ts'
import { readOffsets } from './read-offsets.ts'
import { OffsetsTable } from './transactions/offsets-table.ts'
import { createRowsOnce, rowsOnceName } from './zerobus/rows-once.ts'

/** Creates the table of a workspace if it is missing, or adds the columns that it lacks. */
export async function createInWorkspace(context: SinkContext<DatabricksOptions>): Promise<string> {
  const { target, clock, logger } = context
  const { table } = target
  const file = await readOffsets(context)
  const workspace = await openWorkspace(target, { retry: { policy: interactiveRetry }, clock, logger })
  try {
    const { warehouse } = workspace
    if (warehouse === undefined) throw new TailraceError('CONFIG_INVALID', 'sink.httpPath is missing.')
    await openTable({
      warehouse,
      target,
      stagingFolder: undefined,
      hasLanded: hasLandedIn(new OffsetsTable(warehouse, table.name, target.name), file?.offsets),
      create: true,
    })
    if (target.sink.mode === 'zerobus') {
      await createRowsOnce(warehouse, table.name)
      const view = Object.values(rowsOnceName(table.name)).join('.')
      return `table ${Object.values(table.name).join('.')} is there with the declared columns, and ${view} shows each row once`
    }
    return `table ${Object.values(table.name).join('.')} is there with the declared columns`
  } finally {
    await workspace.close()
  }
}
