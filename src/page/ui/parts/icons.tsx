import type { JSX } from 'preact'

const paths = {
  operate: 'M3 12h3.2l2.3-7 4.2 14 2.8-9 1.6 4H21',
  explore: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm4.8 11.3L20 20',
  report: 'M4 20V4m0 16h16M8.5 16v-5m4 5V7m4 9v-7',
  ask: 'M4 6.5 9 12l-5 5.5M12 18h8',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5v2m0 14v2M5.6 5.6 7 7m10 10 1.4 1.4M3 12h2m14 0h2M5.6 18.4 7 17m10-10 1.4-1.4',
  moon: 'M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7Z',
  system: 'M4 5h16v11H4zM9 20h6m-3-4v4',
  keys: 'M3.5 6.5h17v11h-17zM7 10h.01M10.3 10h.01M13.6 10h.01M17 10h.01M8 14h8',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  check: 'M5 12.5 10 17 19 7',
  close: 'M6 6l12 12M18 6 6 18',
  link: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2M14 10a4 4 0 0 0-6-.4l-3 3A4 4 0 0 0 10.7 18.3l1.2-1.2',
  left: 'M14.5 5.5 8 12l6.5 6.5',
  right: 'M9.5 5.5 16 12l-6.5 6.5',
  out: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm4.8 11.300L20 20M7.5 10.500h6',
  play: 'M7 5v14l11-7z',
  stop: 'M7 7h10v10H7z',
  download: 'M12 4v11m-4.5-4.500L12 15l4.5-4.500M5 20h14',
  warn: 'M12 4 2.8 20h18.400zM12 10v5m0 2.500h.01',
  empty: 'M4 13.5 6.5 6h11l2.5 7.500V19H4zM4 13.500h5l1.2 2.500h3.600l1.2-2.500h5',
  live: 'M12 10.500a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM8 8a5.6 5.6 0 0 0 0 8m8 0a5.6 5.6 0 0 0 0-8M5.2 5.200a9.6 9.6 0 0 0 0 13.600m13.6 0a9.6 9.6 0 0 0 0-13.6',
  filter: 'M4 6h16M7 12h10m-7 6h4',
} as const

export type IconName = keyof typeof paths

/** A picture beside a text that says the same. */
export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  )
}
