import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { BlobSummary } from '../../api-operate.ts'
import { Card, Empty } from '../parts/basics.tsx'
import { DataTable, type TableColumn } from '../parts/data-table.tsx'
import { bytesText, countText, lengthText, shownText } from '../state/format.ts'

const tones = {
  reading: 'busy',
  queued: '',
  quiet: 'good',
  'set aside': 'warn',
  gone: '',
} as const

/** Each blob with its offset over its size, and why it waits. */
export function BlobTable({
  blobs,
  nowMs,
}: {
  readonly blobs: readonly BlobSummary[]
  readonly nowMs: number
}): JSX.Element {
  const [word, setWord] = useState('')
  const shown = blobs.filter(({ blob, pipeline, state }) => `${pipeline} ${blob} ${state}`.includes(word))
  return (
    <Card
      title="Blobs"
      count={countText(blobs.length)}
      actions={
        blobs.length > 5 && (
          <input
            class="field"
            type="search"
            aria-label="Blobs whose name contains"
            placeholder="Name contains …"
            value={word}
            onInput={({ currentTarget }) => setWord(currentTarget.value)}
          />
        )
      }
    >
      {shown.length === 0 ? (
        <Empty title={blobs.length === 0 ? 'No blob is known yet' : 'No blob has this name'}>
          {blobs.length === 0 && (
            <p>
              Blobs appear when a process tails. <code>tailrace check</code> says whether the source can be
              reached and which blobs it selects.
            </p>
          )}
        </Empty>
      ) : (
        <DataTable
          label="Blobs"
          columns={columnsAt(nowMs)}
          rows={shown}
          keyOf={({ pipeline, blob, generation }) => `${pipeline} ${blob} ${generation}`}
        />
      )}
    </Card>
  )
}

function columnsAt(nowMs: number): readonly TableColumn<BlobSummary>[] {
  return [
    {
      id: 'blob',
      label: 'Blob',
      sortKey: ({ blob }) => blob,
      cell: ({ blob, generation }) => (
        <>
          <span class="mono blob-name">{shownText(blob)}</span>
          {generation !== undefined && <div class="faint number">generation {generation}</div>}
        </>
      ),
    },
    {
      id: 'pipeline',
      label: 'Pipeline',
      sortKey: ({ pipeline }) => pipeline,
      cell: ({ pipeline }) => pipeline,
    },
    {
      id: 'progress',
      label: 'Landed',
      sortKey: ({ offset, bytes }) => offset / Math.max(1, bytes),
      cell: (blob) => <Progress blob={blob} />,
    },
    {
      id: 'size',
      label: 'Size',
      align: 'right',
      sortKey: ({ bytes }) => bytes,
      cell: ({ bytes }) => bytesText(bytes),
    },
    {
      id: 'unread',
      label: 'Unread',
      align: 'right',
      sortKey: ({ offset, bytes }) => bytes - offset,
      cell: ({ offset, bytes }) => bytesText(Math.max(0, bytes - offset)),
    },
    {
      id: 'state',
      label: 'State',
      sortKey: ({ state }) => state,
      cell: ({ state, waits, untilMs }) => (
        <>
          <span class={`badge ${tones[state]}`}>{state}</span>
          {waits !== undefined && (
            <span class="soft blob-waits">
              {shownText(waits)}
              {untilMs !== undefined && untilMs > nowMs && `, for ${lengthText(untilMs - nowMs)}`}
            </span>
          )}
        </>
      ),
    },
  ]
}

function Progress({ blob: { blob, offset, bytes } }: { readonly blob: BlobSummary }): JSX.Element {
  const share = bytes === 0 ? 1 : Math.min(1, offset / bytes)
  // Rounded down: a blob with unread bytes is never at 100 %.
  const percent = Math.floor(share * 1_000) / 10
  return (
    <span class="landed">
      <progress max={1} value={share} aria-label={`Landed of ${blob}`} />
      <span class="number">{percent === 100 ? 'all' : `${percent.toFixed(1)} %`}</span>
    </span>
  )
}
