import { TailraceError } from '../../errors.ts'
import { LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { LoadIntent } from '../../offsets/load-intent.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import type { OpenedSink, OpenSink } from '../sink.ts'
import { DatabricksCommitter } from './committer.ts'
import { CopyInto } from './loading/copy-into.ts'
import { MergeLoader } from './loading/merge-loader.ts'
import { RangeRows } from './loading/range-rows.ts'
import type { RowLoader } from './loading/row-loader.ts'
import { VolumeLoader } from './loading/volume-loader.ts'
import { openWorkspace, type Workspace } from './open-workspace.ts'
import type { DatabricksOptions } from './options.ts'
import { StagedFiles } from './staging/staged-files.ts'
import { WorkspaceCatalog } from './tables/catalog.ts'
import { ensureTable } from './tables/live-table.ts'

/**
 * Opens a table of a Databricks workspace, and completes or discards the load of an earlier process.
 *
 * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, WAREHOUSE_DENIED, LOAD_UNCLEAR
 * @throws OFFSET_FILE_CORRUPT when the offsets cannot be computed from rows, as in mode stage-only
 */
export async function openDatabricks(context: OpenSink<DatabricksOptions>): Promise<OpenedSink> {
  const { target, storedOffsets, offsets, signal, clock, logger } = context
  const { sink, table } = target
  if (storedOffsets === 'corrupt' && sink.mode === 'stage-only') {
    throw new TailraceError(
      'OFFSET_FILE_CORRUPT',
      'The offset file is the only record of staged ranges in mode stage-only: restore it, or remove it to stage everything again.',
    )
  }
  const onRetry = retryLog(logger, 'the workspace failed')
  const workspace = await openWorkspace(target, { retry: { onRetry }, signal, clock, logger })
  const committer = new DatabricksCommitter({
    location: `${sink.host}/${Object.values(table.name).join('.')}`,
    loader: loaderOf(context, workspace),
    ledger: offsets,
    offsets:
      storedOffsets === undefined || storedOffsets === 'corrupt'
        ? new LandedOffsets()
        : storedOffsets.offsets,
    recoversOffsets: storedOffsets === undefined || storedOffsets === 'corrupt',
    landsBlob: target.landsBlob,
    onOffsetsRecovered: (count) =>
      logger.warn(
        { count },
        'there is no usable offset file: offsets were computed from the rows of the table',
      ),
    onSettled: (intent, landed) =>
      logger.info(
        { batch: intent.id, landed, files: intent.files.length, blobCount: intent.spans.length },
        settled(intent, landed),
      ),
    mode: sink.mode === 'merge' ? undefined : sink.mode,
    clock,
    close: () => workspace.close(),
  })
  try {
    await committer.open()
    return { committer, encodedFiles: 'whole', directories: [] }
  } catch (error) {
    await committer.close()
    throw error
  }
}

function settled({ replaces }: LoadIntent, landed: boolean): string {
  if (replaces !== undefined) {
    return landed ? 'an earlier replay is loaded' : 'an earlier replay changed nothing: repeat it'
  }
  return landed
    ? 'a batch of an earlier run is loaded'
    : 'a batch of an earlier run was not loaded: it is read again'
}

function loaderOf(
  { target, engine, storedOffsets, offsets, signal, clock, logger }: OpenSink<DatabricksOptions>,
  workspace: Workspace,
): RowLoader {
  const { sink, table: declaration } = target
  const { warehouse, staging } = workspace
  const table = warehouse && {
    rows: new RangeRows(warehouse, declaration.name),
    ensureTable: async () => {
      if (staging !== undefined) await new WorkspaceCatalog(warehouse).requireVolume(staging.folder)
      await ensureTable({
        warehouse,
        declaration,
        layout: sink.layout,
        properties: sink.properties,
        create: sink.createTable,
        evolve: sink.evolve,
        hasLanded: typeof storedOffsets === 'object' && storedOffsets.offsets.blobCount > 0,
      })
    },
  }
  if (warehouse !== undefined && table !== undefined && sink.mode === 'merge') {
    return new MergeLoader({ warehouse, declaration, engine, ...table })
  }
  if (staging === undefined) {
    throw new TailraceError('CONFIG_INVALID', `sink.volume is missing, where mode ${sink.mode} stages files.`)
  }
  return new VolumeLoader({
    staging,
    stagedFiles: new StagedFiles({
      staging,
      retentionMs: sink.stagedRetentionMs,
      intent: () => offsets.intent,
      clock,
      onFailed: (error) => logger.warn({ err: error }, 'staged files could not be removed'),
    }),
    table:
      warehouse === undefined || table === undefined || sink.mode === 'stage-only'
        ? undefined
        : {
            ...table,
            copy: new CopyInto({
              warehouse,
              declaration,
              stagingFolder: staging.folder,
              retry: {
                clock,
                onRetry: retryLog(logger, 'loading failed'),
                signal,
              },
            }),
            clearCache: async () => {
              // Not every warehouse knows the statement, and nothing depends on it.
              await warehouse
                .execute({ label: 'clear the cache', sql: 'CLEAR CACHE', repeatable: false })
                .catch((error: unknown) => logger.debug({ err: error }, 'the cache was not cleared'))
            },
          },
    clock,
  })
}
