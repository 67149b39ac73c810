import { createPipelineView } from '../lakehouse-views.ts'
import { type DeltaPipeline, tableLocation } from '../resolve-config.ts'
import { withDataFiles } from '../sinks/data-file-errors.ts'
import { checkAppendable } from '../sinks/delta/feature-gate.ts'
import { withFileErrors } from '../sinks/delta/file-errors.ts'
import { loadState } from '../sinks/delta/table-log.ts'
import { checkSchema } from '../sinks/delta/table-schema.ts'
import { type EmbeddedEngine, sqlString } from '../sinks/duckdb.ts'
import { blobTest } from '../sources/discovery/blob-test.ts'
import { requireWritable } from '../state-files.ts'
import type { CommandContext } from './command.ts'
import { LandedRows } from './landed-rows.ts'
import type { LookedTable } from './looked-table.ts'
import { lookingStorage } from './looking-storage.ts'

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
