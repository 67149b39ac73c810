import { appendFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { closeShared } from './shared-hooks.ts'

/** A line of the journal: a test file that began or ended. */
export interface FileEvent {
  readonly event: 'began' | 'ended'
  /** Path below test/. */
  readonly file: string
  /** Milliseconds since 1970. */
  readonly at: number
}

const tests = new URL('..', import.meta.url)

/** As for a test: see test-timeout.ts, whose limit begins with the first test. */
const maxLoadingMs = Number(process.env.TAILRACE_TEST_MINUTES ?? 10) * 48_000

/**
 * Runs test files in this process, one after another: loading the product for each takes longer than most of them.
 *
 * A file that cannot be loaded, or leaves a server, a socket or a process behind, is a failing test of its name. What
 * ends the process leaves the remaining files without an entry in the journal, and test/run.ts runs them again.
 *
 * @param files paths below test/
 * @param journal path of a file that is appended to, of lines of {@link FileEvent}
 * @param maxClosingMs how long what a file opened may take to close after its tests
 */
export async function runFiles(
  files: readonly string[],
  journal: string,
  maxClosingMs = 20_000,
): Promise<void> {
  const note = (event: FileEvent['event'], file: string): void => {
    const line: FileEvent = { event, file, at: Date.now() }
    appendFileSync(journal, `${JSON.stringify(line)}\n`)
  }
  // Node opens these when they are first used, and keeps them.
  void [process.stdin, process.stdout, process.stderr]
  let isClosed = true
  for (const file of files) {
    const before = openResources()
    note('began', file)
    // A file may land a table before its tests. The process's own limit is that of all its files, and names none.
    const limit = setTimeout(() => {
      console.error(`test/${file} has not loaded within ${maxLoadingMs / 1000} s.`)
      process.exit(1)
    }, maxLoadingMs).unref()
    try {
      await import(new URL(file, tests).href)
    } catch (error) {
      await test(`test/${file} loads`, () => {
        throw error
      })
    } finally {
      clearTimeout(limit)
    }
    // The tests of a process run in order, so this suite ends after those of the file. It also names them in the output.
    await describe(`test/${file}`, () => {})
    try {
      await closeShared()
    } catch (error) {
      await test(`test/${file} closes what its tests share`, () => {
        throw error
      })
    }
    if (files.length > 1 && !(await closes(file, before, maxClosingMs))) isClosed = false
    note('ended', file)
  }
  // On a busy machine, the results of the last tests take a while to be written.
  if (!isClosed) setTimeout(() => process.exit(1), 5_000)
}

/** Makes a file that would keep its process from ending a failing test, and returns whether it is none. */
async function closes(file: string, before: ReadonlyMap<string, number>, maxMs: number): Promise<boolean> {
  let open: string[] = []
  for (const deadline = Date.now() + maxMs; Date.now() < deadline; await delay(20)) {
    open = [...openResources()].flatMap(([kind, count]) => (count > (before.get(kind) ?? 0) ? [kind] : []))
    if (open.length === 0) return true
  }
  await test(`test/${file} closes what it opens`, () => {
    throw new Error(`still open: ${open.join(', ')}`)
  })
  return false
}

/** What keeps the process running, without timers: they end by themselves. */
function openResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind !== 'Timeout' && kind !== 'Immediate') counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}
