import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { About } from '../../api.ts'
import { change } from '../state/address.ts'
import { rangeText } from '../state/format.ts'
import { lengthsMs, timeRangeOf } from '../state/record-filter.ts'
import { instantOfClock, offsetMs, timeZone } from '../state/time-zone.ts'
import { Menu } from './basics.tsx'

const lengthNames: ReadonlyMap<string, string> = new Map([
  ['15m', 'Last 15 minutes'],
  ['1h', 'Last hour'],
  ['6h', 'Last 6 hours'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
])

/** The range of time that a room shows, and the menu that changes it. */
export function TimeRangeMenu(props: {
  readonly parameters: URLSearchParams
  readonly about: About
  /** The name of the choice without a range. */
  readonly wholeName: string
}): JSX.Element {
  const { parameters, about, wholeName } = props
  const zone = timeZone.use()
  const last = parameters.get('last')
  const range = timeRangeOf(parameters, about.nowMs)
  const { fromMs = about.records?.fromMs, toMs = about.records?.toMs } = range
  const isWhole = range.fromMs === undefined && range.toMs === undefined
  const lengthName = lengthNames.get(last ?? '')
  // A range has the zone in its own text.
  const isNamed = isWhole || lengthName !== undefined
  const name = isWhole
    ? wholeName
    : (lengthName ?? (fromMs === undefined || toMs === undefined ? wholeName : rangeText(fromMs, toMs)))
  return (
    <Menu
      label={`Time range: ${name}${isNamed ? ` ${zone}` : ''}`}
      button={
        <>
          <span class="number">{name}</span>
          {isNamed && <span class="faint"> {zone}</span>}
        </>
      }
    >
      {(close) => (
        <>
          <Option isCurrent={isWhole} onChoose={() => choose({}, close)}>
            {wholeName}
          </Option>
          {[...lengthsMs.keys()].map((key) => (
            <Option key={key} isCurrent={last === key} onChoose={() => choose({ last: key }, close)}>
              {lengthNames.get(key)}
            </Option>
          ))}
          <OwnRange
            // By the choice of the reader, not by its instants: those of all records change while one types.
            key={`${zone} ${last} ${parameters.get('fromMs')} ${parameters.get('toMs')}`}
            fromMs={fromMs}
            toMs={toMs}
            onChoose={(own) => choose(own, close)}
          />
        </>
      )}
    </Menu>
  )
}

interface ChosenRange {
  readonly last?: string
  readonly fromMs?: number
  readonly toMs?: number
}

function choose({ last, fromMs, toMs }: ChosenRange, close: () => void): void {
  change({ last, fromMs, toMs, record: undefined })
  close()
}

function Option(props: {
  readonly isCurrent: boolean
  readonly onChoose: () => void
  readonly children: ComponentChildren
}): JSX.Element {
  return (
    <button type="button" class="option" aria-current={props.isCurrent} onClick={props.onChoose}>
      {props.children}
    </button>
  )
}

function OwnRange(props: {
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
  readonly onChoose: (range: ChosenRange) => void
}): JSX.Element {
  const [from, setFrom] = useState(fieldText(props.fromMs))
  const [to, setTo] = useState(fieldText(props.toMs))
  const [fromMs, toMs] = [instantOfClock(from), instantOfClock(to)]
  const isRange = fromMs !== undefined && toMs !== undefined && fromMs < toMs
  return (
    <form
      class="own-range"
      onSubmit={(event) => {
        event.preventDefault()
        if (isRange) props.onChoose({ fromMs, toMs })
      }}
    >
      <label>
        From
        <input
          class="field"
          type="datetime-local"
          step="1"
          value={from}
          onInput={({ currentTarget }) => setFrom(currentTarget.value)}
        />
      </label>
      <label>
        To
        <input
          class="field"
          type="datetime-local"
          step="1"
          value={to}
          onInput={({ currentTarget }) => setTo(currentTarget.value)}
        />
      </label>
      <button type="submit" class="button main" disabled={!isRange}>
        Show this range
      </button>
    </form>
  )
}

/** @returns an instant as a field of date and time holds it */
function fieldText(ms: number | undefined): string {
  return ms === undefined ? '' : new Date(ms + offsetMs(ms)).toISOString().slice(0, 19)
}
