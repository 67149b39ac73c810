import type { Verdict } from '../offsets/verify-report.ts'
import { printJsonList, printTable } from '../reporting/row-printer.ts'
import { verifyRows } from '../run/inspection/verify.ts'
import type { CommandContext } from './command.ts'

/**
 * Prints whether rows cover every committed byte.
 *
 * @returns the exit code: 0 when every blob is complete, else 1
 */
export async function verify(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const { complete, blobs, archived } = await verifyRows(context, pipeline)
  if (json) {
    await printJsonList(context.print, {
      before: `{"complete":${complete},"blobs":[`,
      items: blobs,
      after: `],"archived":${JSON.stringify(archived)}}`,
    })
  } else {
    const columns = Object.keys(blobs[0] ?? { pipeline: '' }) as (keyof Verdict)[]
    await printTable(
      context.print,
      columns,
      blobs.map((verdict) => columns.map((column) => verdict[column])),
    )
    if (archived.generations > 0)
      await context.print(
        `and ${archived.generations} more that are complete, with ${archived.rows} rows: they have not changed for long, and their offsets are in the table's archive\n`,
      )
  }
  return complete ? 0 : 1
}
