import { useEffect, useState } from 'preact/hooks'

/** A value that several components show. */
export class Store<Value> {
  #value: Value
  readonly #listeners = new Set<(value: Value) => void>()

  constructor(value: Value) {
    this.#value = value
  }

  get value(): Value {
    return this.#value
  }

  set value(value: Value) {
    this.#value = value
    for (const listener of this.#listeners) listener(value)
  }

  /** A hook: the component is rendered again whenever the value changes. */
  use(): Value {
    const [shown, setShown] = useState(() => this.#value)
    useEffect(() => {
      const listener = (value: Value): void => setShown(() => value)
      this.#listeners.add(listener)
      // It may have changed between the rendering and now.
      listener(this.#value)
      return () => this.#listeners.delete(listener)
    }, [])
    return shown
  }
}
