import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { Window } from '../parts/basics.tsx'
import { type Address, type Room, readAddress, roomHref, rooms, visit } from '../state/address.ts'

export const roomTitles: Readonly<Record<Room, string>> = {
  operate: 'Operate',
  explore: 'Explore',
  report: 'Report',
  ask: 'Ask',
}

/** Keys that work wherever no text is being written. */
export function useShortcuts(address: Address, onHelp: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event)) return
      const room = rooms[Number(event.key) - 1]
      if (room !== undefined) {
        const next = readAddress(roomHref(address, room))
        if (room !== address.room) visit(next.room, next.parameters)
      } else if (event.key === '?') onHelp()
      else if (event.key === '/') {
        const field = document.querySelector<HTMLElement>('[data-search]')
        if (field === null) return
        field.focus()
      } else return
      event.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [address, onHelp])
}

/** The search field of a window is reached through its shadow root, so the first element of the path counts. */
function isWriting(event: KeyboardEvent): boolean {
  const [element] = event.composedPath()
  return (
    element instanceof HTMLElement &&
    (element.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(element.tagName))
  )
}

const keys: readonly (readonly [keys: readonly string[], meaning: string])[] = [
  [['1', '2', '3', '4'], 'Operate, Explore, Report, Ask'],
  [['/'], 'Search (Explore), write SQL (Ask)'],
  [['↑', '↓'], 'Move through the records'],
  [['Enter'], 'Open a record'],
  [['Esc'], 'Close the record'],
  [['←', '→'], 'Read a chart; with Shift select a range, with Enter show it'],
  [['Ctrl', 'Enter'], 'Run the statement'],
  [['?'], 'This list'],
]

export function ShortcutHelp({ onClose }: { readonly onClose: () => void }): JSX.Element {
  return (
    <Window title="Keyboard" onClose={onClose}>
      <dl class="keys">
        {keys.map(([names, meaning]) => (
          <>
            <dt>
              {names.map((name) => (
                <>
                  <kbd>{name}</kbd>{' '}
                </>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </>
        ))}
      </dl>
    </Window>
  )
}
