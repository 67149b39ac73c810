import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../parts/icons.tsx'
import { change } from '../state/address.ts'

/** A search begins when nothing was typed for this long. */
const pauseMs = 350

/** The text that is searched in messages, details, hints, contexts and statements. */
export function SearchField({ parameters }: { readonly parameters: URLSearchParams }): JSX.Element {
  const shown = parameters.get('q') ?? ''
  const [text, setText] = useState(shown)
  const timer = useRef<number | undefined>(undefined)
  // The back button changes the text, too.
  useEffect(() => setText(shown), [shown])
  useEffect(() => () => clearTimeout(timer.current), [])
  const search = (q: string): void => {
    clearTimeout(timer.current)
    change({ q: q === '' ? undefined : q, record: undefined })
  }
  return (
    <search class="search">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          search(text)
        }}
      >
        <Icon name="explore" />
        <input
          class="field"
          type="search"
          data-search
          aria-label="Search messages and statements"
          placeholder="Search messages and statements"
          value={text}
          spellcheck={false}
          onInput={({ currentTarget: { value } }) => {
            setText(value)
            clearTimeout(timer.current)
            timer.current = window.setTimeout(() => search(value), pauseMs)
          }}
        />
        <kbd aria-hidden="true" class="hide-narrow">
          /
        </kbd>
      </form>
    </search>
  )
}
