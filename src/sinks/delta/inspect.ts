import type { CommandContext } from '../../commands/command.ts'
import { type DeltaPipeline, tableLocation } from '../../config/resolve.ts'
import { requireWritable } from '../../offsets/state-files.ts'
import { blobTest } from '../../sources/discovery/blob-selection.ts'
import { withDataFiles } from '../encoding/data-file-errors.ts'
import { type EmbeddedEngine, sqlString } from '../encoding/engine.ts'
import { LandedRows } from '../landed-rows.ts'
import type { LookedTable } from '../table-inspection.ts'
import { loadState } from './log/load.ts'
import { checkAppendable } from './protocol/features.ts'
import { checkSchema } from './protocol/schema.ts'
import { createPipelineView } from './query/views.ts'
import { withFileErrors } from './storage/file-errors.ts'
import { lookingStorage } from './storage/open.ts'

/** Looks at a Delta table with an engine of the command's own. */
export async function lookAtDelta(
  name: string,
  pipeline: DeltaPipeline,
  { clock, logger }: Pick<CommandContext, 'clock' | 'logger'>,
  { engine, temporaryDirectory }: { readonly engine: EmbeddedEngine; readonly temporaryDirectory: string },
): Promise<LookedTable> {
  const storage = lookingStorage(pipeline, temporaryDirectory, clock)
  const table = await loadState(storage, engine, { keepFiles: false })
  if (table === undefined) {
    logger.warn({ pipeline: name, table: storage.location }, 'there is no table yet: a run creates it')
  }
  const landsBlob = blobTest(pipeline.source)
  return {
    generations: async () => [...(table?.transactions.landed ?? [])].filter(({ blob }) => landsBlob(blob)),
    rows: async () => {
      const view = await createPipelineView(engine, name, storage)
      return view === undefined ? undefined : rowsOf(engine, view)
    },
    check: async () => {
      const location = tableLocation(pipeline)
      if (location.kind === 'directory')
        await withFileErrors(location.path, () => requireWritable(location.path))
      if (table === undefined) return [`no table yet: a run creates it at ${storage.location}`]
      checkAppendable(table.protocol, table.metaData)
      const partitions = pipeline.table.partitionColumns.map(({ column }) => column)
      checkSchema(table.metaData, pipeline.table.columns, partitions, pipeline.sink)
      return [`table ${storage.location} is at version ${table.version}`]
    },
    close: async () => {},
  }
}

function rowsOf(engine: EmbeddedEngine, view: string): LandedRows {
  return new LandedRows({
    relation: view,
    ends: (generations) => {
      const values = generations.map(
        ({ blob, generation, offset }, id) =>
          `(${id}, ${sqlString(blob)}, ${sqlString(generation)}, ${offset})`,
      )
      return { sql: `(VALUES ${values.join(', ')}) AS given(id, blob, generation, end_offset)` }
    },
    query: (sql) => withDataFiles(() => engine.rows(sql)),
    stream: (sql, take) => withDataFiles(() => engine.rolledBack(() => engine.stream(sql, take))),
  })
}
