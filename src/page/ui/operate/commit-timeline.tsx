import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { LandedCommit } from '../../api-operate.ts'
import { Card, Choices, Empty } from '../parts/basics.tsx'
import { seriesColor } from '../parts/colors.ts'
import { DataTable, type TableColumn } from '../parts/data-table.tsx'
import { agoText, bytesText, countText, instantText, lengthText, noValue } from '../state/format.ts'

const spans = [
  ['120000', '2 min'],
  ['900000', '15 min'],
  ['3600000', '1 h'],
] as const

/** Commits on a line of time for each pipeline: higher ones landed more rows. */
export function CommitTimeline(props: {
  readonly commits: readonly LandedCommit[]
  readonly pipelines: readonly string[]
  readonly nowMs: number
}): JSX.Element {
  const { commits, pipelines, nowMs } = props
  const [span, setSpan] = useState<(typeof spans)[number][0]>('120000')
  const spanMs = Number(span)
  const shown = commits.filter(({ atMs }) => atMs > nowMs - spanMs)
  const largest = shown.reduce((max, { rows }) => Math.max(max, rows), 1)
  return (
    <Card
      title="Commits"
      count={commits.length === 0 ? undefined : countText(shown.length)}
      actions={<Choices label="Time shown" value={span} options={spans} onChoose={setSpan} />}
    >
      {commits.length === 0 ? (
        <Empty title="No commit yet">
          <p>
            Commits of the running process appear here. <code>tailrace history</code> lists those before.
          </p>
        </Empty>
      ) : (
        <div class="card-body">
          <div class="lanes" role="img" aria-label={laneText(commits, pipelines, nowMs, spanMs)}>
            {pipelines.map((pipeline, index) => (
              <div class="lane" key={pipeline}>
                <span class="lane-name">{pipeline}</span>
                <div class="lane-line" style={{ '--series': `var(${seriesColor(index)})` }}>
                  <UnknownTime commits={commits} {...{ pipeline, nowMs, spanMs }} />
                  {shown
                    .filter((commit) => commit.pipeline === pipeline)
                    .map((commit) => (
                      <CommitMark
                        key={`${commit.atMs} ${commit.tableVersion}`}
                        {...{ commit, nowMs, spanMs, largest }}
                      />
                    ))}
                </div>
              </div>
            ))}
            <div class="lane lane-scale faint number">
              <span />
              <div>
                <span>{lengthText(spanMs)} ago</span>
                <span>{lengthText(spanMs / 2)} ago</span>
                <span>now</span>
              </div>
            </div>
          </div>
          <details class="behind">
            <summary>The commits as a table</summary>
            <DataTable
              label="Commits"
              columns={columnsAt(nowMs)}
              rows={commits.toReversed()}
              keyOf={({ pipeline, atMs, tableVersion }) => `${pipeline} ${atMs} ${tableVersion}`}
            />
          </details>
        </div>
      )}
    </Card>
  )
}

/** Marks the time before the oldest commit that is kept of a pipeline. */
function UnknownTime(props: {
  readonly commits: readonly LandedCommit[]
  readonly pipeline: string
  readonly nowMs: number
  readonly spanMs: number
}): JSX.Element | null {
  const { commits, pipeline, nowMs, spanMs } = props
  const oldest = commits.find((commit) => commit.pipeline === pipeline)
  if (oldest === undefined || oldest.atMs <= nowMs - spanMs) return null
  const right = ((nowMs - oldest.atMs) / spanMs) * 100
  return (
    <span
      title={`Commits before ${instantText(oldest.atMs)} are not kept here: tailrace history lists them.`}
      style={{
        position: 'absolute',
        inset: `0 ${right.toFixed(2)}% 0 0`,
        background: 'repeating-linear-gradient(135deg, transparent 0 5px, var(--line) 5px 6px)',
      }}
    />
  )
}

function CommitMark(props: {
  readonly commit: LandedCommit
  readonly nowMs: number
  readonly spanMs: number
  readonly largest: number
}): JSX.Element {
  const { commit, nowMs, spanMs, largest } = props
  // The root, because a backfill's commits are a thousand times as large as those that follow a writer.
  const height = Math.max(10, 100 * Math.sqrt(commit.rows / largest))
  const right = ((nowMs - commit.atMs) / spanMs) * 100
  return (
    <span
      class={`commit ${commit.rejected > 0 ? 'has-rejected' : ''}`}
      style={{ right: `${right.toFixed(2)}%`, height: `${height.toFixed(1)}%` }}
      title={`${instantText(commit.atMs)}: ${countText(commit.rows)} rows, ${bytesText(commit.bytes)}, encoded in ${lengthText(commit.encodeMs)}, committed in ${lengthText(commit.commitMs)}`}
    />
  )
}

function laneText(
  commits: readonly LandedCommit[],
  pipelines: readonly string[],
  nowMs: number,
  spanMs: number,
): string {
  const counts = pipelines.map((pipeline) => {
    const kept = commits.filter((commit) => commit.pipeline === pipeline)
    const own = kept.filter(({ atMs }) => atMs > nowMs - spanMs)
    const rows = own.reduce((sum, one) => sum + one.rows, 0)
    const [oldest] = kept
    const since = oldest === own[0] && oldest !== undefined ? `, known since ${instantText(oldest.atMs)}` : ''
    return `${pipeline}: ${countText(own.length)} commits, ${countText(rows)} rows${since}`
  })
  return `Commits of the last ${lengthText(spanMs)}. ${counts.join('; ')}.`
}

function columnsAt(nowMs: number): readonly TableColumn<LandedCommit>[] {
  return [
    {
      id: 'at',
      label: 'Time',
      sortKey: ({ atMs }) => atMs,
      cell: ({ atMs }) => (
        <span class="number" title={agoText(nowMs - atMs)}>
          {instantText(atMs)}
        </span>
      ),
    },
    {
      id: 'pipeline',
      label: 'Pipeline',
      sortKey: ({ pipeline }) => pipeline,
      cell: ({ pipeline }) => pipeline,
    },
    {
      id: 'version',
      label: 'Version',
      align: 'right',
      sortKey: ({ tableVersion }) => tableVersion ?? null,
      cell: ({ tableVersion }) => (tableVersion === undefined ? noValue : countText(tableVersion)),
    },
    numberColumn('rows', 'Rows', ({ rows }) => rows, countText),
    numberColumn('rejected', 'Rejected', ({ rejected }) => rejected, countText),
    numberColumn('bytes', 'Bytes', ({ bytes }) => bytes, bytesText),
    numberColumn('encode', 'Encoded in', ({ encodeMs }) => encodeMs, lengthText),
    numberColumn('commit', 'Committed in', ({ commitMs }) => commitMs, lengthText),
  ]
}

function numberColumn(
  id: string,
  label: string,
  readValue: (commit: LandedCommit) => number,
  text: (value: number) => string,
): TableColumn<LandedCommit> {
  return { id, label, align: 'right', sortKey: readValue, cell: (commit) => text(readValue(commit)) }
}
