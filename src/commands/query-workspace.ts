import { TailraceError } from '../errors.ts'
import { openWorkspace } from '../open-workspace.ts'
import type { DatabricksPipeline } from '../resolve-config.ts'
import type { TakeRows } from '../row-batch.ts'
import type { CommandContext } from './command.ts'
import { lookingAttempts } from './looking-storage.ts'

/**
 * Has a warehouse execute a statement of the user's own and hands its rows on. 64-bit integers come as text, as from Delta tables; instants
 * in ISO 8601, bytes in base64.
 *
 * @throws USAGE where the pipeline has no warehouse
 * @throws STATEMENT_FAILED, WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE
 */
export async function queryWorkspace(
  [name, pipeline]: readonly [name: string, pipeline: DatabricksPipeline],
  sql: string,
  { clock, logger }: Pick<CommandContext, 'clock' | 'logger'>,
  take: TakeRows,
): Promise<void> {
  const retry = { policy: { maxAttempts: lookingAttempts } }
  const { warehouse, close } = await openWorkspace(name, pipeline, { retry, clock, logger })
  try {
    if (warehouse === undefined) {
      throw new TailraceError('USAGE', `The pipeline ${name} has no sink.httpPath: no warehouse to ask.`)
    }
    // It may be anything, so it is sent once.
    await warehouse.stream({ label: 'query', sql, repeatable: false }, ({ columns, rows }) =>
      take({ columns, rows: rows.map((row) => row.map(shown)) }),
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
