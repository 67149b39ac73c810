import { writeSync } from 'node:fs'
import type { LineOutput } from './logger.ts'

/** Where log lines go, with room for one status line under them. */
export interface StatusOutput extends LineOutput {
  /** Shows a status line below the log, replacing the last one; nothing where there is no terminal. */
  status(text: string): void
}

const stderr = 2
const clearLine = '\r\u001b[K'

/**
 * Standard error: log lines, and on a terminal one status line that stays below them.
 *
 * Writes are synchronous, so that the last line before an exit is never lost.
 */
export function standardError(isTerminal: boolean): StatusOutput {
  let current = ''
  const write = (text: string): void => {
    for (let rest = Buffer.from(text); rest.length > 0; ) {
      try {
        rest = rest.subarray(writeSync(stderr, rest))
      } catch (error) {
        // A pipe whose reader is slow asks to try again; one whose reader is gone takes nothing more.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      }
    }
  }
  return {
    write: (line) => write(current === '' ? line : `${clearLine}${line}${current}`),
    status: (text) => {
      if (!isTerminal || text === current) return
      current = text.slice(0, (process.stderr.columns ?? 80) - 1)
      write(clearLine + current)
    },
  }
}
