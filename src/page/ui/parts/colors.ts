/** @returns a color of the style sheet as a canvas can paint it, for the theme that is shown */
export function paintedColor(element: HTMLElement, variable: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${variable})`
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

/** The colors of servers and other series, in their order. */
const seriesColors = [
  '--series-1',
  '--series-2',
  '--series-3',
  '--series-4',
  '--series-5',
  '--series-6',
] as const

export function seriesColor(index: number): string {
  return seriesColors[index % seriesColors.length] as string
}

/** The levels of records, from loud to quiet. */
const levelColors: ReadonlyMap<string, string> = new Map([
  ['PANIC', '--level-panic'],
  ['FATAL', '--level-fatal'],
  ['ERROR', '--level-error'],
  ['WARNING', '--level-warning'],
  ['NOTICE', '--level-notice'],
  ['INFO', '--level-notice'],
  ['LOG', '--level-log'],
])

/** @returns whether a name is that of a severity */
export function isLevel(name: string): boolean {
  return name.startsWith('DEBUG') || levelColors.has(name)
}

/** @returns the color of a severity in any spelling of PostgreSQL; others are shown as debugging ones */
export function levelColor(severity: string | null): string {
  return levelColors.get((severity ?? '').toUpperCase()) ?? '--level-debug'
}
