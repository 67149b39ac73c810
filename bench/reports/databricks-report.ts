import type { DatabricksResult, Landing, LandingGroup, LandingRun } from '../measures/databricks.ts'
import type { WorkspaceCounts } from '../servers/workspace-server.ts'
import { markdownTable } from './markdown-table.ts'
import { sizeText } from './quantities.ts'

const titles: Readonly<Record<Landing, string>> = {
  delta: 'local Delta table',
  'transaction-files-api': '`transaction`, `files-api`',
  'replace-where-files-api': '`replace-where`, `files-api`',
  'copy-into-put': '`copy-into`, `put`',
  'copy-into-files-api': '`copy-into`, `files-api`',
  'stage-only-files-api': '`stage-only`, `files-api`',
  merge: '`merge`',
}

/** Statements that come with the bytes, though some of a start are among them; the others are all a start's. */
const growing = ['PUT', 'LIST', 'SELECT', 'COPY INTO', 'MERGE', 'INSERT', 'BEGIN ATOMIC']

/**
 * What a warehouse is taken to work for a statement, in seconds, because none was measured: two for one that changes the
 * table, a third of one for any other.
 */
const guessedSeconds = { change: 2, other: 1 / 3 } as const

const changes: ReadonlySet<string> = new Set(['COPY INTO', 'MERGE', 'INSERT', 'BEGIN ATOMIC'])

/** The speeds of the Databricks bench. */
export function databricksSpeeds({ files, merge }: DatabricksResult): readonly string[] {
  return [speedTable(files), speedTable(merge)]
}

/** The statements, requests and starts of the Databricks bench. */
export function databricksCounts({ files, merge, start, driver }: DatabricksResult): readonly string[] {
  return [
    countsTable(files, start),
    countsTable(merge, start),
    startTable(start),
    markdownTable(
      ['once in a process', 'ms', 'CPU s', 'MB'],
      [
        [
          'loading the driver',
          driver.driverMs.toFixed(0),
          driver.driverCpuSeconds.toFixed(1),
          driver.driverMegabytes.toFixed(0),
        ],
        ['trusting a `customCaFile`', driver.authorityMs.toFixed(0), '', ''],
        ['trusting it for another connection', driver.authorityAgainMs.toFixed(2), '', ''],
      ],
    ),
  ]
}

function speedTable(group: LandingGroup): string {
  const gigabytes = group.inputBytes / 1e9
  return markdownTable(
    [
      `${sizeText(group.inputBytes, group.lines)}, into`,
      'runs',
      'MB/s',
      'to Delta',
      'CPU s/GB',
      'peak RSS MB',
      "workspace's CPU s/GB",
    ],
    group.runs.map((run) => [
      titles[run.landing],
      String(group.rounds),
      run.megabytesPerSecond.toFixed(1),
      run.toDelta.toFixed(2),
      (run.cpuSeconds / gigabytes).toFixed(1),
      run.peakRssMegabytes.toFixed(0),
      run.workspaceCpuSeconds === undefined ? '' : (run.workspaceCpuSeconds / gigabytes).toFixed(1),
    ]),
  )
}

/** A measured value, with the value per GB in brackets if it grows with the bytes. */
function countsTable(group: LandingGroup, start: LandingGroup): string {
  const runs = group.runs.flatMap(({ landing, counts }) => {
    const ofStart = start.runs.find((run) => run.landing === landing)?.counts
    return counts === undefined || ofStart === undefined ? [] : [{ landing, counts, ofStart }]
  })
  const gigabytes = group.inputBytes / 1e9
  const row = (what: string, value: (counts: WorkspaceCounts) => number): string[] => [
    what,
    ...runs.map(({ counts, ofStart }) => {
      const perPiece = (value(counts) - value(ofStart)) / (piecesOf(counts) - piecesOf(ofStart))
      const perGigabyte = (perPiece * piecesOf(counts)) / gigabytes
      const isGrowing = Number.isFinite(perGigabyte) && perGigabyte > 0
      return `${Number(value(counts).toFixed(0))}${isGrowing ? ` (${perGigabyte.toFixed(0)})` : ''}`
    }),
  ]
  return markdownTable(
    [`${sizeText(group.inputBytes, group.lines)} (per GB)`, ...runs.map(({ landing }) => titles[landing])],
    [
      ...growing
        .filter((kind) => runs.some(({ counts }) => counts.statements[kind] !== undefined))
        .map((kind) => row(`\`${kind}\``, ({ statements }) => statements[kind] ?? 0)),
      row('other statements', ({ statements }) =>
        Object.entries(statements).reduce(
          (sum, [kind, count]) => (growing.includes(kind) ? sum : sum + count),
          0,
        ),
      ),
      row('warehouse seconds, calculated', ({ statements }) =>
        Object.entries(statements).reduce(
          (sum, [kind, count]) => sum + count * guessedSeconds[changes.has(kind) ? 'change' : 'other'],
          0,
        ),
      ),
      row("polls of a statement's state", ({ rpcs }) => rpcs.GetOperationStatus ?? 0),
      row('HTTP requests', ({ requests }) => requests),
      row('uploads', ({ uploads }) => uploads),
      [
        'uploaded MB',
        ...runs.map(
          ({ counts: { uploadedBytes } }) =>
            `${(uploadedBytes / 1e6).toFixed(1)} (${(uploadedBytes / 1e6 / gigabytes).toFixed(0)})`,
        ),
      ],
    ],
  )
}

/** What all that grows comes with: files, or pieces of rows. */
function piecesOf({ uploads, statements }: WorkspaceCounts): number {
  return uploads + (statements.MERGE ?? 0)
}

function startTable({ runs }: LandingGroup): string {
  return markdownTable(
    ['one line into', 'seconds', 'CPU s', 'peak RSS MB', 'statements', 'HTTP requests', 'driver'],
    runs.map(({ landing, seconds, cpuSeconds, peakRssMegabytes, counts, loadedDriver }: LandingRun) => [
      titles[landing],
      seconds.toFixed(1),
      cpuSeconds.toFixed(1),
      peakRssMegabytes.toFixed(0),
      counts === undefined
        ? ''
        : String(Object.values(counts.statements).reduce((sum, count) => sum + count, 0)),
      counts === undefined ? '' : String(counts.requests),
      loadedDriver ? 'loaded' : 'not loaded',
    ]),
  )
}
