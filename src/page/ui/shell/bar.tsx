import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { About } from '../../api.ts'
import { Icon } from '../parts/icons.tsx'
import { type Address, chooseTimeZone, roomHref, rooms } from '../state/address.ts'
import { type LiveState, useLive } from '../state/live.ts'
import { browserZone, timeZone, utc } from '../state/time-zone.ts'
import { roomTitles } from './shortcuts.tsx'
import { chooseTheme, type Theme, useTheme } from './theme.ts'

const nextThemes = { system: 'light', light: 'dark', dark: 'system' } as const
const themeIcons = { system: 'system', light: 'sun', dark: 'moon' } as const
const themeNames: Readonly<Record<Theme, string>> = {
  system: 'as the system',
  light: 'light',
  dark: 'dark',
}

/** The bar above every room. */
export function Bar(props: {
  readonly address: Address
  readonly about: About | undefined
  readonly onHelp: () => void
}): JSX.Element {
  const { address, about, onHelp } = props
  const theme = useTheme()
  return (
    <header class="bar">
      <a class="brand" href={roomHref(address, 'operate')}>
        <img src="tailrace.svg" alt="" width="22" height="22" />
        Tailrace
      </a>
      <nav class="rooms" aria-label="Rooms">
        {rooms.map((room) => (
          <a
            key={room}
            href={room === address.room ? location.hash || '#/operate' : roomHref(address, room)}
            aria-current={room === address.room ? 'page' : undefined}
          >
            <Icon name={room} size={17} />
            {roomTitles[room]}
          </a>
        ))}
      </nav>
      <div class="bar-end">
        <ConnectionState about={about} />
        <ZoneButton />
        <button
          type="button"
          class="button plain square"
          title={`Colors: ${themeNames[theme]}`}
          aria-label={`Colors: ${themeNames[theme]}. Change`}
          onClick={() => chooseTheme(nextThemes[theme])}
        >
          <Icon name={themeIcons[theme]} />
        </button>
        <button
          type="button"
          class="button plain square hide-narrow"
          title="Keyboard (?)"
          aria-label="Keyboard"
          onClick={onHelp}
        >
          <Icon name="keys" />
        </button>
      </div>
    </header>
  )
}

/** Switches between UTC, the zone of this browser, and that of a link. */
function ZoneButton(): JSX.Element | null {
  const zone = timeZone.use()
  const zones = [...new Set([utc, browserZone(), zone])]
  if (zones.length === 1) return null
  const next = zones[(zones.indexOf(zone) + 1) % zones.length]!
  return (
    <button
      type="button"
      class="button plain small"
      title={`Times in ${zone}`}
      aria-label={`Times in ${zone}. Change to ${next}`}
      onClick={() => chooseTimeZone(next)}
    >
      {zone.replace(/^.*\//, '')}
    </button>
  )
}

function ConnectionState({ about }: { readonly about: About | undefined }): JSX.Element {
  const live = useLive()
  const { tone, text } = stateOf(live)
  // The script of the page is that of the release it came from.
  const loaded = useRef<string | undefined>(undefined)
  useEffect(() => {
    loaded.current ??= about?.version
  }, [about?.version])
  if (loaded.current !== undefined && about !== undefined && loaded.current !== about.version)
    return (
      <button type="button" class="button small" onClick={() => location.reload()}>
        Tailrace was updated: load again
      </button>
    )
  return (
    <span class="connection" role="status">
      <span class={`dot ${tone}`} />
      <span class={tone === 'good' ? 'hide-narrow' : ''}>{text}</span>
    </span>
  )
}

function stateOf({ connection, operate }: LiveState): { readonly tone: string; readonly text: string } {
  if (connection === 'lost') return { tone: 'bad', text: 'No answer, trying again' }
  if (operate === undefined) return { tone: '', text: 'Connecting' }
  const failed = operate.pipelines.filter(({ state }) => state === 'failed').length
  if (failed > 0) return { tone: 'bad', text: `${failed} of ${operate.pipelines.length} failed` }
  const troubled = operate.pipelines.some(
    ({ live }) => live?.disk.isHeld === true || live?.outage !== undefined,
  )
  if (troubled) return { tone: 'warn', text: 'Waiting' }
  const running = operate.pipelines.filter(({ live }) => live !== undefined).length
  return running === 0 ? { tone: '', text: 'Not tailing' } : { tone: 'good', text: 'Live' }
}
