import { TailraceError } from '../../errors.ts'
import { interactiveRetry } from '../../retry.ts'
import type { QueryRequest } from '../sink.ts'
import { openWorkspace } from './open-workspace.ts'
import type { DatabricksTarget } from './options.ts'

/**
 * Has a warehouse execute a statement of the user's own and hands its rows on. 64-bit integers come as text, as from Delta tables; instants
 * in ISO 8601, bytes in base64.
 *
 * @throws USAGE where the pipeline has no warehouse
 * @throws STATEMENT_FAILED, WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE
 */
export async function queryWorkspace(
  target: DatabricksTarget,
  { sql, moment, take, signal, clock, logger }: QueryRequest,
): Promise<void> {
  if (moment.version !== undefined || moment.timestampMs !== undefined) {
    throw new TailraceError('USAGE', 'In a Databricks workspace, write VERSION AS OF into the statement.')
  }
  const { warehouse, close } = await openWorkspace(target, {
    retry: { policy: interactiveRetry },
    signal,
    clock,
    logger,
  })
  try {
    if (warehouse === undefined) {
      throw new TailraceError(
        'USAGE',
        `The pipeline ${target.name} has no sink.httpPath: no warehouse to ask.`,
      )
    }
    // It may be anything, so it is sent once.
    await warehouse.stream({ label: 'query', sql, repeatable: false }, ({ rows, ...shape }) =>
      take({ ...shape, rows: rows.map((row) => row.map(shown)) }),
    )
  } finally {
    await close()
  }
}

function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Date) return value.toISOString()
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
