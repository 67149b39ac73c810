import { choosePipelines } from '../config/choose-pipelines.ts'
import { byteAmount, timeAmount } from '../reporting/byte-amount.ts'
import { cellText, cutText, displayWidth } from '../reporting/cell-text.ts'
import { isStale, type LiveStatus, LiveStatusFile } from '../run/live-status.ts'
import type { CommandContext } from './command.ts'

export interface TopOptions {
  readonly pipeline?: string | undefined
  /** Print the table once instead of redrawing it. Default: on a terminal it is redrawn. */
  readonly once?: boolean | undefined
  readonly json?: boolean | undefined
}

/** The running process writes as often. */
const redrawMs = 1_000

/** A pipeline of the config, with the state that its process has written; undefined when it has none. */
interface Row {
  readonly name: string
  readonly status: ShownStatus | undefined
}

/** The part of the state that is shown. */
interface ShownStatus
  extends Pick<
    LiveStatus,
    | 'atMs'
    | 'isRunning'
    | 'phase'
    | 'percent'
    | 'leftSeconds'
    | 'bytesPerSecond'
    | 'rowsPerSecond'
    | 'rows'
    | 'rejected'
    | 'lagBytes'
    | 'lanes'
    | 'setAside'
    | 'isHeld'
    | 'landedAtMs'
    | 'tableVersion'
    | 'failure'
  > {
  readonly blobs: readonly Pick<LiveStatus['blobs'][number], 'blob' | 'offset' | 'bytes'>[]
}

const enterScreen = '\u001b[?1049h\u001b[?25l'
const leaveScreen = '\u001b[?25h\u001b[?1049l'

/**
 * Shows the pipelines that a process of the same state directory runs: speed, lag, disk gate, last commit and failure, and
 * the blobs with the most unread bytes. Reads only the files that `tailrace start` writes.
 *
 * @returns the exit code: 0
 */
export async function top(context: CommandContext, options: TopOptions): Promise<number> {
  const { config, clock, print, printRaw, terminal } = context
  const files = choosePipelines(config, options.pipeline).map(([name]) => ({
    name,
    file: new LiveStatusFile(config.stateDirectory, name),
  }))
  const read = async (): Promise<Row[]> =>
    Promise.all(files.map(async ({ name, file }) => ({ name, status: await file.read() })))
  if (options.json === true) {
    for (const { name, status } of await read()) {
      await print(`${JSON.stringify({ pipeline: name, ...status })}\n`)
    }
    return 0
  }
  if (options.once === true || !terminal.hasOutput) {
    await print(`${topLines(await read(), clock.now(), undefined).join('\n')}\n`)
    return 0
  }
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ending.abort())
  await printRaw(enterScreen)
  try {
    while (!ending.signal.aborted) {
      const { columns = 80, rows = 24 } = process.stdout
      const lines = [...topLines(await read(), clock.now(), columns), '', 'Ctrl-C ends.'].slice(0, rows - 1)
      const isRead = await printRaw(`\u001b[H${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`)
      if (!isRead) break
      await clock.sleep(redrawMs, ending.signal).catch(() => {})
    }
  } finally {
    await printRaw(leaveScreen)
  }
  return 0
}

/** Blobs that are named. */
const maxBlobs = 10

/** @returns the blobs with the most unread bytes */
function behind(status: ShownStatus | undefined): ShownStatus['blobs'] {
  return (status?.blobs ?? []).filter(({ offset, bytes }) => bytes > offset).slice(0, maxBlobs)
}

/** @param maxWidth in columns of the terminal; undefined: lines are not cut */
export function topLines(rows: readonly Row[], nowMs: number, maxWidth: number | undefined): string[] {
  const pipelines = rows.map((row) => pipelineCells(row, nowMs))
  const blobs = rows.flatMap(({ name, status }) =>
    behind(status).map(({ blob, offset, bytes }) => [
      name,
      blob,
      offset.toLocaleString('en-US'),
      bytes.toLocaleString('en-US'),
      byteAmount(Math.max(0, bytes - offset)),
    ]),
  )
  const failures = rows.flatMap(({ name, status }) =>
    status?.failure === undefined ? [] : [`${name}: ${status.failure}`],
  )
  const lines = [
    `tailrace top  ${new Date(nowMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`,
    '',
    ...columnsOf([pipelineHead, ...pipelines], rightPipelineColumns),
    ...(failures.length === 0 ? [] : ['', ...failures]),
    ...(blobs.length === 0 ? [] : ['', ...columnsOf([blobHead, ...blobs], rightBlobColumns)]),
  ]
  return lines.map((line) => cutText(cellText(line, undefined), maxWidth))
}

const pipelineHead = [
  'PIPELINE',
  'STATE',
  'ROWS/S',
  'MB/S',
  'LAG',
  'LEFT',
  'LANES',
  'GATE',
  'LAST COMMIT',
  'ROWS',
  'REJECTED',
]
const rightPipelineColumns: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 9, 10])
const blobHead = ['PIPELINE', 'BLOB', 'OFFSET', 'SIZE', 'LAG']
const rightBlobColumns: ReadonlySet<number> = new Set([2, 3, 4])

function pipelineCells({ name, status }: Row, nowMs: number): string[] {
  if (status === undefined || isStale(status, nowMs)) return [name, 'not running', ...Array(9).fill('-')]
  const { phase, percent, leftSeconds, landedAtMs, tableVersion } = status
  const version = tableVersion === undefined ? '' : ` (version ${tableVersion})`
  return [
    name,
    stateOf(status),
    Math.round(status.rowsPerSecond).toLocaleString('en-US'),
    (status.bytesPerSecond / 1e6).toFixed(1),
    byteAmount(status.lagBytes),
    phase === 'following' || leftSeconds === undefined ? '-' : timeAmount(leftSeconds),
    `${status.lanes}${status.setAside > 0 ? ` (${status.setAside} set aside)` : ''}`,
    status.isHeld ? 'HELD: disk' : 'open',
    landedAtMs === undefined ? '-' : `${timeAmount(Math.max(0, (nowMs - landedAtMs) / 1_000))} ago${version}`,
    status.rows.toLocaleString('en-US'),
    status.rejected.toLocaleString('en-US'),
  ].map((text, index) =>
    index === 1 && text === 'backfill' && percent !== undefined ? `${text} ${percent}%` : text,
  )
}

function stateOf({ isRunning, failure, phase }: ShownStatus): string {
  if (isRunning) return phase
  return failure === undefined ? 'starting' : 'failed'
}

/** Aligns the cells of rows, two columns apart. */
function columnsOf(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const widths = (rows[0] ?? []).map((_, index) =>
    rows.reduce((widest, row) => Math.max(widest, displayWidth(row[index] ?? '')), 0),
  )
  return rows.map((row) =>
    row
      .map((text, index) => {
        const padding = ' '.repeat((widths[index] ?? 0) - displayWidth(text))
        return right.has(index) ? padding + text : text + padding
      })
      .join('  ')
      .trimEnd(),
  )
}
