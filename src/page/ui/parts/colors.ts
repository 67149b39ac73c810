import { maxSeries } from '../../api.ts'

/** @returns a color of the style sheet as a canvas can paint it, for the theme that is shown */
export function paintedColor(element: HTMLElement, variable: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${variable})`
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

/** @returns the color of a server or another series by its place; those of one histogram all differ */
export function seriesColor(index: number): string {
  return `--series-${(index % maxSeries) + 1}`
}

/** The levels of records, from loud to quiet. */
const levelColors: ReadonlyMap<string, string> = new Map([
  ['PANIC', '--level-panic'],
  ['FATAL', '--level-fatal'],
  ['ERROR', '--level-error'],
  ['WARNING', '--level-warning'],
  ['NOTICE', '--level-notice'],
  ['INFO', '--level-info'],
  ['LOG', '--level-log'],
])

/** @returns the place of a severity in the order from loud to quiet */
export function levelRank(name: string): number {
  const rank = [...levelColors.keys()].indexOf(name)
  return rank < 0 ? levelColors.size : rank
}

/** @returns whether a name is that of a severity */
export function isLevel(name: string): boolean {
  return name.startsWith('DEBUG') || levelColors.has(name)
}

/** @returns the color of a severity in any spelling of PostgreSQL; others are shown as debugging ones */
export function levelColor(severity: string | null): string {
  return levelColors.get((severity ?? '').toUpperCase()) ?? '--level-debug'
}
