import { Store } from '../state/store.ts'

/** `system`: as the operating system says. */
export type Theme = 'system' | 'light' | 'dark'

const key = 'tailrace-theme'

function stored(): Theme {
  try {
    const text = localStorage.getItem(key)
    return text === 'light' || text === 'dark' ? text : 'system'
  } catch {
    // A browser may forbid storage.
    return 'system'
  }
}

const theme = new Store<Theme>(stored())
apply(theme.value)

function apply(one: Theme): void {
  if (one === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = one
}

export function chooseTheme(one: Theme): void {
  apply(one)
  try {
    if (one === 'system') localStorage.removeItem(key)
    else localStorage.setItem(key, one)
  } catch {
    // It then lasts as long as the page.
  }
  theme.value = one
}

export function useTheme(): Theme {
  return theme.use()
}

const isDark = mediaStore('(prefers-color-scheme: dark)')
const isNarrow = mediaStore('(max-width: 760px)')
const isOverlaid = mediaStore('(max-width: 1239px)')

function mediaStore(query: string): Store<boolean> {
  const media = matchMedia(query)
  const store = new Store(media.matches)
  media.addEventListener('change', () => {
    store.value = media.matches
  })
  return store
}

/** A hook: whether the page is as narrow as a telephone, as in the style sheets. */
export function useIsNarrow(): boolean {
  return isNarrow.use()
}

/** A hook: whether an open record lies over the room instead of beside the list, as in the style sheets. */
export function useIsOverlaid(): boolean {
  return isOverlaid.use()
}

/** A hook for what draws with colors itself: whether it has to draw for a dark background. */
export function useIsDark(): boolean {
  const systemIsDark = isDark.use()
  const chosen = theme.use()
  return chosen === 'system' ? systemIsDark : chosen === 'dark'
}
