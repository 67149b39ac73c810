import type { ArchivedOffset, ArchivedOffsets } from '../../offsets/archived-offsets.ts'
import { requireWritable } from '../../offsets/state-files.ts'
import { withDataFiles } from '../encoding/data-file-errors.ts'
import { type EmbeddedEngine, sqlString } from '../encoding/engine.ts'
import { type CommandEngine, openCommandEngine } from '../encoding/engine-session.ts'
import { LandedRows } from '../landed-rows.ts'
import type { SinkContext, TableInspection } from '../sink.ts'
import { OffsetArchive, requireArchive } from './archive/offset-archive.ts'
import { ParquetArchiveFiles } from './archive/parquet-archive-files.ts'
import { loadState } from './log/load.ts'
import type { Transactions } from './log/offsets.ts'
import type { DeltaOptions } from './options.ts'
import { checkAppendable } from './protocol/features.ts'
import { retainedDays } from './protocol/retention.ts'
import { checkSchema } from './protocol/schema.ts'
import { createPipelineView } from './query/views.ts'
import { withFileErrors } from './storage/file-errors.ts'
import { tableLocation } from './storage/location.ts'
import { commandStorage } from './storage/open.ts'

/** Reads a Delta table with an engine of its own. */
export async function inspectDelta(context: SinkContext<DeltaOptions>): Promise<TableInspection> {
  const opened = await openCommandEngine()
  try {
    return await inspectWith(opened, context)
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function inspectWith(
  { engine, temporaryDirectory, close }: CommandEngine,
  { target, signal, clock, logger }: SinkContext<DeltaOptions>,
): Promise<TableInspection> {
  const storage = commandStorage(target, temporaryDirectory, clock, signal)
  const state = await loadState(storage, engine, { keepFiles: false })
  if (state === undefined) {
    logger.warn({ pipeline: target.name, table: storage.location }, 'there is no table yet: a run creates it')
  }
  if (state !== undefined) await requireArchive(state, { storage, engine })
  const instantMs = state?.transactions.archivedAtMs
  const files = new ParquetArchiveFiles({ storage, engine, stagingDirectory: temporaryDirectory })
  const archive =
    instantMs === undefined ? undefined : await OffsetArchive.open(instantMs, { storage, files })
  return {
    archive: archive && state && ownPart(archive, state.transactions, target.landsBlob),
    generations: async () =>
      [...(state?.transactions.landed ?? [])].filter(({ blob }) => target.landsBlob(blob)),
    retainedDays: state && retainedDays(state.metaData),
    rows: async () => {
      const view = await createPipelineView(engine, target.name, storage)
      return view === undefined ? undefined : rowsOf(engine, view)
    },
    check: async () => {
      const location = tableLocation(target)
      if (location.kind === 'directory')
        await withFileErrors(location.path, () => requireWritable(location.path))
      if (state === undefined) return [`no table yet: a run creates it at ${storage.location}`]
      checkAppendable(state.protocol, state.metaData)
      const partitions = target.table.partitionColumns.map(({ column }) => column)
      checkSchema(state.metaData, target.table.columns, partitions, target.sink)
      return [`table ${storage.location} is at version ${state.version}`]
    },
    close,
  }
}

/** The offsets of a pipeline's blobs that are in an archive alone. */
function ownPart(
  archive: ArchivedOffsets,
  { landed }: Transactions,
  landsBlob: (blob: string) => boolean,
): ArchivedOffsets {
  const isOwn = (one: ArchivedOffset): boolean => landsBlob(one.blob) && landed.get(one) === undefined
  return {
    count: archive.count,
    find: async (blobs) => (await archive.find(blobs)).filter(isOwn),
    replaced: async () => (await archive.replaced()).filter(landsBlob),
    each: (take) =>
      archive.each(async (offsets) => {
        const own = offsets.filter(isOwn)
        return own.length === 0 || take(own)
      }),
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
