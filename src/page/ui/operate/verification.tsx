import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { BlobVerdict, VerifyResult } from '../../api.ts'
import { Card, Empty, Failure } from '../parts/basics.tsx'
import { DataTable, type TableColumn } from '../parts/data-table.tsx'
import { Icon } from '../parts/icons.tsx'
import { bytesText, countText, lengthText, shownText } from '../state/format.ts'
import { asRequestError, fetchApi, type RequestError } from '../state/request.ts'

/** Proves on demand that rows cover every committed byte. */
export function Verification({ pipelines }: { readonly pipelines: readonly string[] }): JSX.Element {
  const [pipeline, setPipeline] = useState('')
  const [result, setResult] = useState<VerifyResult | undefined>(undefined)
  const [error, setError] = useState<RequestError | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  const ending = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => ending.current?.abort(), [])
  const verify = async (): Promise<void> => {
    const own = new AbortController()
    ending.current = own
    setBusy(true)
    setError(undefined)
    try {
      const query = pipeline === '' ? '' : `?${new URLSearchParams({ pipeline })}`
      const response = await fetchApi(`verify${query}`, { signal: own.signal })
      setResult((await response.json()) as VerifyResult)
    } catch (failure) {
      if (!own.signal.aborted) setError(asRequestError(failure))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card
      title="Verify"
      actions={
        <>
          {pipelines.length > 1 && (
            <select
              class="field"
              aria-label="Pipeline to verify"
              value={pipeline}
              onChange={({ currentTarget }) => setPipeline(currentTarget.value)}
            >
              <option value="">all pipelines</option>
              {pipelines.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
          {isBusy ? (
            <button type="button" class="button" onClick={() => ending.current?.abort()}>
              <Icon name="stop" /> Cancel
            </button>
          ) : (
            <button type="button" class="button main" onClick={verify}>
              <Icon name="check" /> Verify now
            </button>
          )}
        </>
      }
    >
      <div class={isBusy ? 'progress' : ''} aria-busy={isBusy}>
        {error !== undefined && (
          <div class="card-body">
            <Failure error={error} retry={verify} />
          </div>
        )}
        {result === undefined && error === undefined && (
          <Empty
            title={isBusy ? 'Reading the positions of all rows …' : 'Not verified on this page yet'}
            icon="check"
          >
            <p>
              The rows' positions have to tile each blob up to its offset: no byte is missing, none landed
              twice. It reads only the columns of positions, and changes nothing.
            </p>
          </Empty>
        )}
        {result !== undefined && <Verdicts result={result} />}
      </div>
    </Card>
  )
}

function Verdicts({ result }: { readonly result: VerifyResult }): JSX.Element {
  const { complete, blobs, elapsedMs } = result
  return (
    <>
      <p class="verdict" role="status">
        <span class={`badge ${complete ? 'good' : 'bad'}`}>{complete ? 'complete' : 'not complete'}</span>
        {complete
          ? `Every byte of ${blobs.length === 1 ? 'one blob' : `${countText(blobs.length)} blobs`} is accounted for.`
          : 'Bytes are missing or landed twice: see the blobs below, and Guarantees in the documentation.'}
        <span class="faint number">{lengthText(elapsedMs)}</span>
      </p>
      <DataTable
        label="Blobs verified"
        columns={columns}
        rows={blobs.toSorted((a, b) => Number(a.complete) - Number(b.complete))}
        keyOf={({ pipeline, blob, generation }) => `${pipeline} ${blob} ${generation}`}
      />
    </>
  )
}

const columns: readonly TableColumn<BlobVerdict>[] = [
  {
    id: 'blob',
    label: 'Blob',
    sortKey: ({ blob }) => blob,
    cell: ({ blob, generation }) => (
      <>
        <span class="mono blob-name">{shownText(blob)}</span>
        <div class="faint number">generation {generation}</div>
      </>
    ),
  },
  {
    id: 'complete',
    label: 'Verdict',
    sortKey: ({ complete }) => String(complete),
    cell: ({ complete }) => (
      <span class={`badge ${complete ? 'good' : 'bad'}`}>{complete ? 'complete' : 'not complete'}</span>
    ),
  },
  {
    id: 'offset',
    label: 'Offset',
    align: 'right',
    sortKey: ({ offset }) => offset,
    cell: ({ offset }) => countText(offset),
  },
  {
    id: 'rows',
    label: 'Rows',
    align: 'right',
    sortKey: ({ rows }) => rows,
    cell: ({ rows }) => countText(rows),
  },
  bytesColumn('rowBytes', 'In rows', ({ rowBytes }) => rowBytes),
  bytesColumn('blankBytes', 'Blank', ({ blankBytes }) => blankBytes),
  bytesColumn('droppedBytes', 'Dropped by transforms', ({ droppedBytes }) => droppedBytes),
  bytesColumn('unexplainedBytes', 'Missing', ({ unexplainedBytes }) => unexplainedBytes),
  {
    id: 'overlapping',
    label: 'Twice',
    align: 'right',
    sortKey: ({ overlappingRows }) => overlappingRows,
    cell: ({ overlappingRows }) => countText(overlappingRows),
  },
]

function bytesColumn(
  id: string,
  label: string,
  readValue: (verdict: BlobVerdict) => number,
): TableColumn<BlobVerdict> {
  return { id, label, align: 'right', sortKey: readValue, cell: (verdict) => bytesText(readValue(verdict)) }
}
