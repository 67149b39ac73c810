import type { Clock } from '../../../clock.ts'
import type { Span } from '../../../records.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { CopyInto } from '../loading/copy-into.ts'
import { mergeSql } from '../loading/merge-loader.ts'
import { RangeRows } from '../loading/range-rows.ts'
import { ReplaceWhereLoader } from '../loading/replace-where-loader.ts'
import { createdProperties, type DatabricksTarget, prefersTransactions, stagingFolderOf } from '../options.ts'
import { BatchFiles } from '../staging/batch-files.ts'
import { StagedFiles } from '../staging/staged-files.ts'
import { UnitFiles } from '../staging/unit-files.ts'
import type { VolumeStaging } from '../staging/volume-staging.ts'
import { createTableSql } from '../tables/definition.ts'
import { OffsetsTable } from '../transactions/offsets-table.ts'
import { TransactionCommitter } from '../transactions/transaction-committer.ts'
import { createOffsetsSql } from '../transactions/transaction-sql.ts'
import type { Statement, Warehouse } from '../warehouse/warehouse.ts'

/** The range of the batch that is shown. */
const span: Span = { blob: 'container/blob', generation: '20260101T000000Z', start: 0, end: 4096 }

/** One file of one row. The same array for each attempt, so that its names stay. */
const encoded: EncodedBatch = {
  files: [{ path: 'batch.parquet', bytes: 4096, rows: 1, columns: new Map(), partition: new Map() }],
  rows: 1,
  rejected: 0,
  partial: 0,
}

/**
 * Formats every statement and request of a pipeline's first landing, in order. They are those of the loaders themselves,
 * which work against a warehouse and a volume that only take notes.
 */
export async function landingSteps(target: DatabricksTarget, clock: Clock): Promise<readonly string[]> {
  const { sink, table } = target
  const { mode } = sink
  const steps: string[] = []
  const warehouse = noting(steps)
  const staging = notingStaging(target, steps)
  const lands = prefersTransactions(sink)
  if (mode !== 'stage-only' && sink.createTable) {
    steps.push(`${createTableSql(table, { layout: sink.layout, properties: createdProperties(sink) })};`)
  }
  const rows = new RangeRows(warehouse, table.name)
  const files = new BatchFiles(staging, clock)
  const held = (): readonly string[] => files.held
  const stagedFiles = new StagedFiles({ staging, retentionMs: undefined, held, clock, onFailed: () => {} })
  if (lands) {
    const offsets = new OffsetsTable(warehouse, table.name, target.name)
    steps.push(`${createOffsetsSql(offsets.name)};`)
    const committer = new TransactionCommitter({
      location: sink.host,
      warehouse,
      declaration: table,
      offsets,
      rows,
      files,
      stagedFiles,
      units: new UnitFiles({ staging, expired: stagedFiles, clock }),
      earlierOffsets: async () => [],
      landsBlob: () => true,
      markOf: () => undefined,
      onMark: () => {},
      clock,
      close: async () => {},
    })
    await committer.open()
    await committer.land([span], encoded)
    await committer.close()
  } else if (mode === 'merge') {
    await warehouse.execute({
      label: 'merge rows',
      sql: mergeSql(table),
      parameters: { rows: '[{"source_blob": …}]' },
      repeatable: true,
    })
  } else if (mode === 'replace-where') {
    const ensureTable = async (): Promise<readonly string[]> => table.columns.map(({ name }) => name)
    const loader = new ReplaceWhereLoader({
      warehouse,
      declaration: table,
      rows,
      files,
      stagedFiles,
      ensureTable,
    })
    await loader.open()
    await loader.add({ spans: [span], encoded })
  } else {
    const { id, paths } = await files.stage(encoded.files)
    if (mode === 'copy-into') {
      const copy = new CopyInto({
        warehouse,
        declaration: table,
        stagingFolder: staging.folder,
        retry: { clock },
      })
      const names = paths.map((path) => path.slice(staging.folder.length + 1))
      await copy.load({
        id,
        mode,
        spans: [span],
        files: names.map((name) => ({ name, bytes: 4096, rows: 1 })),
      })
    }
  }
  return steps
}

/** A warehouse that notes statements. Its answers are those to a pipeline that has landed nothing yet. */
function noting(steps: string[]): Warehouse {
  return {
    location: 'nowhere',
    execute: async (statement) => {
      steps.push(statementText(statement))
      return statement.label === 'read the offsets' ? [] : [{ num_inserted_rows: 1, row_count: 1 }]
    },
    close: async () => {},
  }
}

function statementText({ label, sql, parameters = {} }: Statement): string {
  const values = Object.entries(parameters).map(([name, value]) => `-- :${name} = ${String(value)}\n`)
  return `-- ${label}\n${values.join('')}${sql};`
}

function notingStaging(target: DatabricksTarget, steps: string[]): VolumeStaging {
  const { sink } = target
  const folder = stagingFolderOf(target) ?? ''
  return {
    folder,
    put: async (name, localPath) => {
      steps.push(
        sink.upload === 'put'
          ? `-- upload a file\nPUT '${localPath}' INTO '${folder}/${name}' OVERWRITE;`
          : `-- upload a file\n-- PUT https://${sink.host}/api/2.0/fs/files${encodeURI(`${folder}/${name}`)}?overwrite=true`,
      )
    },
    sizeOf: async () => undefined,
    remove: async () => {},
    list: async () => ({ files: [], folders: [] }),
  }
}
