import { type Print, printJsonList, printTable } from '../reporting/row-printer.ts'
import { type BlobStatus, type PipelineStatus, readStatus } from '../run/inspection/status.ts'
import type { CommandContext } from './command.ts'
import { costSentence, landingCosts } from './landing-costs.ts'

/** Maximum number of completely landed blobs to show: a source may have thousands of them. */
const maxCompleteBlobs = 20

/** Maximum number of servers to show, those with the most bytes that have not landed (--json lists all). */
const maxServers = 20

/** Prints the progress of each blob generation, and for each pipeline its failure and its waiting, replaced and set-aside blobs. */
export async function status(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const { print } = context
  const { blobs, pipelines, error } = await readStatus(context, pipeline)
  const rates = new Map(
    pipelines.flatMap(({ pipeline: name, bytesPerDay }) =>
      bytesPerDay === undefined ? [] : [[name, bytesPerDay] as const],
    ),
  )
  const costs = await landingCosts(context, rates)
  if (json) {
    const after = `],"pipelines":${JSON.stringify(pipelines)},"landingCosts":${JSON.stringify(costs)}}`
    await printJsonList(print, { before: '{"blobs":[', items: blobs, after })
  } else {
    if (blobs.length > 0 || error === undefined) await printBlobs(print, blobs)
    for (const one of pipelines) await print(describePipeline(one))
    for (const cost of costs) await print(`${costSentence(cost)}\n`)
  }
  if (error !== undefined) throw error
  return 0
}

async function printBlobs(print: Print, blobs: readonly BlobStatus[]): Promise<void> {
  const columns = [
    'pipeline',
    'blob',
    'generation',
    'blobBytes',
    'offset',
    'lagBytes',
    'rows',
    'rejected',
  ] as const
  // Shows all blobs with lag or rejected rows, and of the others those with the last names.
  const complete = blobs.filter(({ lagBytes, rejected }) => (lagBytes ?? 0) === 0 && (rejected ?? 0) === 0)
  const hidden = new Set(complete.sort((a, b) => (a.blob < b.blob ? 1 : -1)).slice(maxCompleteBlobs))
  const shown = blobs.filter((blob) => !hidden.has(blob))
  await printTable(
    print,
    columns,
    shown.map((blob) => columns.map((column) => blob[column])),
  )
  if (hidden.size === 0) return
  const rows = [...hidden].reduce((sum, blob) => sum + (blob.rows ?? 0), 0)
  await print(`and ${hidden.size} more that have landed completely, with ${rows} rows (--json lists them)\n`)
}

function describePipeline(status: PipelineStatus): string {
  const { pipeline, notBegun, setAside, replacedBlobs, archivedOffsets, tableChanges, failure, servers } =
    status
  const lines = tableChanges.map((sentence) => `${pipeline}: ${sentence}`)
  if (failure !== undefined) {
    const { code, reason, failures, sinceMs, untilMs } = failure
    const next = untilMs === undefined ? 'its process has ended' : `next start at ${isoText(untilMs)}`
    lines.push(`${pipeline}: failed ${failures} times since ${isoText(sinceMs)}, ${next}: ${code}: ${reason}`)
  }
  if (notBegun !== undefined && notBegun.blobs > 0)
    lines.push(`${pipeline}: ${notBegun.blobs} blobs with ${notBegun.bytes} bytes have no landed byte yet`)
  if (servers.length > 1) {
    const behind = servers.filter(({ lagBytes }) => lagBytes > 0)
    lines.push(`${pipeline}: ${behind.length} of ${servers.length} servers have bytes that have not landed`)
    for (const { server, lagBytes, blobs } of behind.slice(0, maxServers))
      lines.push(`${pipeline}: ${server}: ${lagBytes} bytes in ${blobs} blobs`)
  }
  if (archivedOffsets > 0)
    lines.push(
      `${pipeline}: ${archivedOffsets} rows of offsets that have not changed for long are in the table's archive, of all its pipelines; of their blobs, only those that grew since are listed`,
    )
  if (replacedBlobs > 0)
    lines.push(
      `${pipeline}: ${replacedBlobs} blobs were replaced: lines that are in the earlier and the later generation are in the table twice`,
    )
  for (const { blob, code, reason, failures, untilMs } of setAside)
    lines.push(
      untilMs === undefined
        ? `${pipeline}: ${blob} is set aside until you decide: ${code}: ${reason}`
        : `${pipeline}: ${blob} is set aside until ${isoText(untilMs)} after ${failures} failures: ${code}: ${reason}`,
    )
  return lines.map((line) => `${line}\n`).join('')
}

function isoText(instantMs: number): string {
  return new Date(instantMs).toISOString()
}
