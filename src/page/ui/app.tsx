import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Ask } from './ask/ask.tsx'
import { Explore } from './explore/explore.tsx'
import { Operate } from './operate/operate.tsx'
import { Failure, Waiting } from './parts/basics.tsx'
import { Report } from './report/report.tsx'
import { Bar } from './shell/bar.tsx'
import { roomTitles, ShortcutHelp, useShortcuts } from './shell/shortcuts.tsx'
import { SignIn } from './shell/sign-in.tsx'
import { type AboutState, useAbout } from './state/about.ts'
import { type Address, useAddress } from './state/address.ts'
import { useLiveConnection } from './state/live.ts'
import { filterParameters } from './state/record-filter.ts'
import { whenUnauthorized } from './state/request.ts'

/** The page: a bar, and the room that the URL names. */
export function App(): JSX.Element {
  const address = useAddress()
  const [round, setRound] = useState(0)
  const [hasHelp, setHelp] = useState(false)
  const main = useRef<HTMLElement>(null)
  const about = useAbout(round)
  useEffect(() => whenUnauthorized(about.reload), [about.reload])
  const isSignedOut = about.data?.needsToken === true
  useLiveConnection(isSignedOut ? undefined : liveQuery(address), round)
  useShortcuts(address, () => setHelp(true))
  const { room } = address
  const lastRoom = useRef(room)
  useEffect(() => {
    document.title = `${roomTitles[room]} · Tailrace`
    // A screen reader then begins with the new room; the first one is read from the page's start.
    if (lastRoom.current !== room) main.current?.focus({ preventScroll: true })
    lastRoom.current = room
  }, [room])
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <Bar address={address} about={about.data} onHelp={() => setHelp(true)} />
      <main class="room" id="room" ref={main} tabIndex={-1}>
        {!isSignedOut && <Room address={address} about={about} />}
      </main>
      {hasHelp && <ShortcutHelp onClose={() => setHelp(false)} />}
      {isSignedOut && <SignIn onDone={() => setRound(round + 1)} />}
    </div>
  )
}

function Room({ address, about }: { readonly address: Address; readonly about: AboutState }): JSX.Element {
  if (address.room === 'operate') return <Operate about={about.data} />
  if (about.data === undefined)
    return about.error === undefined ? (
      <Waiting height={240} />
    ) : (
      <Failure error={about.error} retry={about.reload} />
    )
  switch (address.room) {
    case 'explore':
      return <Explore about={about.data} parameters={address.parameters} />
    case 'report':
      return <Report about={about.data} parameters={address.parameters} />
    case 'ask':
      return <Ask about={about.data} parameters={address.parameters} />
  }
}

/** @returns what is asked of the stream of events: new records only while Explore follows them */
function liveQuery({ room, parameters }: Address): string {
  if (room !== 'explore' || parameters.get('live') !== '1') return ''
  const query = filterParameters(parameters, { fromMs: undefined, toMs: undefined })
  query.set('records', '1')
  return query.toString()
}
