import { writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { TailraceError } from '../errors.ts'
import { escapeText } from './escape-text.ts'
import type { LineOutput } from './logger.ts'
import type { Print } from './row-printer.ts'

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
      current = escapeText(text).slice(0, (process.stderr.columns ?? 80) - 1)
      write(clearLine + current)
    },
  }
}

/**
 * Standard output, escaped for terminals. A text counts as written when the stream has taken it; a reader that goes away,
 * such as `head`, is no error.
 *
 * @throws OUTPUT_FAILED when it cannot be written, such as into a file on a full disk
 */
export function standardOutput(stream: Writable): Print {
  let isClosed = false
  // Each write has its error as well, and this listener keeps the process from ending with it.
  stream.on('error', () => {
    isClosed = true
  })
  return (text) =>
    new Promise((resolve, reject) => {
      if (isClosed || text === '') {
        resolve(!isClosed)
        return
      }
      stream.write(escapeText(text), (error) => {
        if (!error) resolve(true)
        else if ((error as NodeJS.ErrnoException).code === 'EPIPE' || isClosed) resolve(false)
        else
          reject(
            new TailraceError('OUTPUT_FAILED', `Standard output failed: ${error.message}`, { cause: error }),
          )
      })
    })
}
