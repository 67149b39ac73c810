/**
 * The command line with a clock whose pauses of ten minutes and more end after a second, and every day is a few seconds
 * long: what a run does once a day is otherwise out of a test's reach.
 */
const longMs = 10 * 60_000
const plain = globalThis.setTimeout

globalThis.setTimeout = Object.assign(
  (fire: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) =>
    plain(fire, ms >= longMs ? 1_000 : ms, ...given),
  plain,
) as typeof setTimeout
await import('../../src/cli.ts')
