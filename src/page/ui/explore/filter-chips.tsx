import type { JSX } from 'preact'
import { Icon } from '../parts/icons.tsx'
import { change } from '../state/address.ts'
import { rangeText, shownText } from '../state/format.ts'
import { filterLists, type TimeRange } from '../state/record-filter.ts'

/** What the records are filtered by, each to be removed. */
export function FilterChips({
  parameters,
  range,
}: {
  readonly parameters: URLSearchParams
  readonly range: TimeRange
}): JSX.Element | null {
  const chosen = filterLists.flatMap((name) => parameters.getAll(name).map((value) => ({ name, value })))
  const { fromMs, toMs } = range
  const hasOwnRange = parameters.has('fromMs') && fromMs !== undefined && toMs !== undefined
  if (chosen.length === 0 && !hasOwnRange) return null
  return (
    <ul class="chips" aria-label="Filters">
      {hasOwnRange && (
        <Chip
          name="time"
          value={rangeText(fromMs, toMs)}
          onRemove={() => change({ fromMs: undefined, toMs: undefined })}
        />
      )}
      {chosen.map(({ name, value }) => (
        <Chip
          key={`${name} ${value}`}
          name={name}
          value={value === '' ? 'none' : shownText(value)}
          onRemove={() => change({ [name]: parameters.getAll(name).filter((one) => one !== value) })}
        />
      ))}
      {chosen.length > 1 && (
        <li>
          <button
            type="button"
            class="button plain small"
            onClick={() => change(Object.fromEntries(filterLists.map((name) => [name, undefined])))}
          >
            Remove all
          </button>
        </li>
      )}
    </ul>
  )
}

function Chip(props: {
  readonly name: string
  readonly value: string
  readonly onRemove: () => void
}): JSX.Element {
  return (
    <li class="chip">
      <span class="faint">{props.name}</span> <span class="chip-value number">{props.value}</span>
      <button
        type="button"
        aria-label={`Remove the filter ${props.name} ${props.value}`}
        onClick={props.onRemove}
      >
        <Icon name="close" size={13} />
      </button>
    </li>
  )
}
