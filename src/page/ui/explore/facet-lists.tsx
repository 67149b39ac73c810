import type { JSX } from 'preact'
import type { Facets, FacetValue } from '../../api.ts'
import { Failure, Waiting } from '../parts/basics.tsx'
import { levelColor } from '../parts/colors.ts'
import { change } from '../state/address.ts'
import { shortCount, shownText } from '../state/format.ts'
import type { Requested } from '../state/request.ts'

const lists = [
  ['severity', 'Severity'],
  ['event', 'Event'],
  ['server', 'Server'],
  ['database', 'Database'],
  ['user', 'User'],
] as const

/** The most frequent values of each field; those that are ticked are alternatives. */
export function FacetLists({
  facets,
  parameters,
}: {
  readonly facets: Requested<Facets>
  readonly parameters: URLSearchParams
}): JSX.Element {
  const { data, error, isLoading, reload } = facets
  return (
    <section class={`facets ${isLoading && data !== undefined ? 'progress' : ''}`} aria-label="Filter">
      {error !== undefined && <Failure error={error} retry={reload} />}
      {data === undefined
        ? error === undefined && <Waiting height={420} />
        : lists.map(([name, title]) => (
            <FacetList
              key={name}
              name={name}
              title={title}
              values={data[name]}
              chosen={parameters.getAll(name)}
              note={
                data.countedFromMs === undefined
                  ? undefined
                  : 'Only the newest records are counted: choose a shorter time to count all.'
              }
            />
          ))}
    </section>
  )
}

function FacetList(props: {
  readonly name: string
  readonly title: string
  readonly values: readonly FacetValue[]
  readonly chosen: readonly string[]
  readonly note: string | undefined
}): JSX.Element | null {
  const { name, title, values, chosen, note } = props
  // A chosen value stays, so that it can be removed, although no record has it.
  const missing = chosen.filter((one) => !values.some(({ value }) => (value ?? '') === one))
  const shown = [...values, ...missing.map((value) => ({ value, count: 0 }))]
  if (shown.length === 0 && note === undefined) return null
  const largest = shown.reduce((max, { count }) => Math.max(max, count), 1)
  return (
    <fieldset class="facet">
      <legend>{title}</legend>
      {note !== undefined && <p class="faint">{note}</p>}
      {shown.map(({ value, count }) => {
        // An empty value of a filter stands for records without one.
        const key = value ?? ''
        return (
          <label key={key} style={{ '--share': (count / largest).toFixed(4) }}>
            <input
              type="checkbox"
              checked={chosen.includes(key)}
              onChange={({ currentTarget: { checked } }) => {
                change({
                  [name]: checked ? [...chosen, key] : chosen.filter((one) => one !== key),
                  record: undefined,
                })
              }}
            />
            {name === 'severity' && (
              <span class="swatch" style={{ '--series': `var(${levelColor(value)})` }} aria-hidden="true" />
            )}
            <span class="facet-value">
              {key === '' ? (
                <span class="faint">none</span>
              ) : (
                shownText(name === 'event' ? key.replaceAll('_', ' ') : key)
              )}
            </span>
            <span class="faint number">{shortCount(count)}</span>
          </label>
        )
      })}
    </fieldset>
  )
}
