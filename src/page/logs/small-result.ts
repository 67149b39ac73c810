import type { FilesRead, QuerySession, SessionStatement } from '../../sinks/query-session.ts'

type Row = Readonly<Record<string, unknown>>

/** Runs a statement whose result fits into memory. */
export async function smallResult(
  session: QuerySession,
  statement: Omit<SessionStatement, 'take'>,
): Promise<{ rows: Row[]; reading: FilesRead }> {
  const rows: Row[] = []
  const reading = await session.run({
    ...statement,
    take: async (batch) => {
      for (const row of batch.rows)
        rows.push(Object.fromEntries(batch.columns.map((name, index) => [name, row[index]])))
      return true
    },
  })
  return { rows, reading }
}
