import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TailraceError } from '../errors.ts'
import { createPipelineView } from '../lakehouse-views.ts'
import { type DeltaPipeline, tableLocation } from '../resolve-config.ts'
import { checkAppendable } from '../sinks/delta/feature-gate.ts'
import { loadState } from '../sinks/delta/table-log.ts'
import { checkSchema } from '../sinks/delta/table-schema.ts'
import { type EmbeddedEngine, sqlString } from '../sinks/duckdb.ts'
import { blobTest } from '../sources/discovery/blob-test.ts'
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
      if (location.kind === 'directory') await requireWritable(location.path)
      if (table === undefined) return [`no table yet: a run creates it at ${storage.location}`]
      checkAppendable(table.protocol, table.metaData)
      checkSchema(table.metaData, pipeline.table.columns, pipeline.table.partitionColumns, pipeline.sink)
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
    query: (sql) => engine.rows(sql),
    stream: (sql, take) => engine.rolledBack(() => engine.stream(sql, take)),
  })
}

/** Of a directory that does not exist, the nearest one above it has to be writable. */
async function requireWritable(directory: string): Promise<void> {
  try {
    await access(directory, constants.W_OK)
  } catch (error) {
    const parent = dirname(directory)
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== directory) {
      return requireWritable(parent)
    }
    throw new TailraceError('TABLE_DENIED', `No right to write to ${directory}.`, { cause: error })
  }
}
