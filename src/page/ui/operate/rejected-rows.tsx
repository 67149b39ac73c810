import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { RejectedRow, RejectList } from '../../api.ts'
import { Card, Command, Empty, Failure, Waiting } from '../parts/basics.tsx'
import { Icon } from '../parts/icons.tsx'
import { bytesText, countText, shownText } from '../state/format.ts'
import { placeText } from '../state/record-filter.ts'
import { useRequest } from '../state/request.ts'

const maxRejects = 50

/**
 * Rows that could not be read whole, with their line, their place, and the command that lands it again.
 *
 * @param seen how many the running process counts: another number asks for the list again
 */
export function RejectedRows({ seen }: { readonly seen: number }): JSX.Element {
  const { data, error, isLoading, reload } = useRequest<RejectList>(`rejects?limit=${maxRejects}`)
  const last = useRef(seen)
  useEffect(() => {
    if (last.current !== seen) reload()
    last.current = seen
  }, [seen, reload])
  const count = data?.rejects.length
  return (
    <Card
      title="Rejected and partial rows"
      count={
        count === undefined || count === 0
          ? undefined
          : count === maxRejects
            ? `newest ${count}`
            : countText(count)
      }
      actions={
        <button type="button" class="button small" onClick={reload} disabled={isLoading}>
          Refresh
        </button>
      }
    >
      {error !== undefined && (
        <div class="card-body">
          <Failure error={error} retry={reload} />
        </div>
      )}
      {data === undefined && error === undefined && (
        <div class="card-body">
          <Waiting height={80} />
        </div>
      )}
      {data?.rejects.length === 0 && (
        <Empty title="Every line was read whole" icon="check">
          <p>A line that cannot be parsed would land as a row with its reason, its text and its place.</p>
        </Empty>
      )}
      {data !== undefined && data.rejects.length > 0 && (
        <ul class="rejects">
          {data.rejects.map((row) => (
            <Reject key={placeText(row)} row={row} />
          ))}
        </ul>
      )}
    </Card>
  )
}

function Reject({ row }: { readonly row: RejectedRow }): JSX.Element {
  return (
    <li>
      <details>
        <summary>
          <Icon name="right" size={14} />
          <span class={`badge ${row.status === 'rejected' ? 'bad' : 'warn'}`}>{row.status}</span>
          <span class="reject-reason">{shownText(row.reason ?? 'no reason')}</span>
          <span class="faint mono reject-place">
            {shownText(row.blob)}:{row.offset}
          </span>
        </summary>
        <div class="reject-body">
          {row.raw === null ? (
            <p class="soft">The line is not kept in the table.</p>
          ) : (
            <pre class="raw" tabIndex={0}>
              {shownText(row.raw)}
            </pre>
          )}
          <p class="soft">
            {bytesText(row.length)} at byte {countText(row.offset)} of generation {row.generation}, in{' '}
            {row.pipelines.join(', ')}. To land this range again:
          </p>
          <Command text={row.replayCommand} />
        </div>
      </details>
    </li>
  )
}
