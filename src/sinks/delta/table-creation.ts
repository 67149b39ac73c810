import { randomUUID } from 'node:crypto'
import type { Column } from '../../tables/table.ts'
import { type CommitContext, commit } from './commit-loop.ts'
import { withOffsetsFence } from './feature-gate.ts'
import { schemaString } from './table-schema.ts'
import { TableState } from './table-state.ts'

/** What a new table is made of. */
export interface TableDeclaration {
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly string[]
  readonly tableName: string
}

/** Commits between checkpoints: the most an opening replays, against the cost of writing all live files. */
const checkpointInterval = '20'

/** Creates version 0, unless another writer just did. */
export async function createTable(table: TableDeclaration, context: CommitContext): Promise<void> {
  const { columns, partitionColumns, tableName } = table
  const request = {
    info: { operation: 'CREATE TABLE', operationParameters: {}, isBlindAppend: true },
    actions: [
      // The lowest versions that have every type used here: all readers know them.
      { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
      {
        metaData: {
          id: randomUUID(),
          name: tableName,
          format: { provider: 'parquet', options: {} },
          schemaString: schemaString(columns),
          partitionColumns,
          // No `delta.setTransactionRetentionDuration`: with it, another writer's checkpoint drops the offsets of
          // blobs that are finished, and a listing that still finds such a blob would land it again.
          configuration: withOffsetsFence({ 'delta.checkpointInterval': checkpointInterval }),
          createdTime: context.clock.now(),
        },
      },
    ],
    check: () => {
      throw new TableExists()
    },
  }
  try {
    await commit(new TableState({ keepFiles: false }), request, context)
  } catch (error) {
    if (!(error instanceof TableExists)) throw error
  }
}

/** A signal within this file. */
class TableExists extends Error {}
