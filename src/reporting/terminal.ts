import { writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { TailraceError } from '../errors.ts'
import { escapeText } from './escape-text.ts'
import type { LineOutput } from './logger.ts'
import type { Print } from './row-printer.ts'

/** The output of log lines, with one status line below them on a terminal. */
export interface StatusOutput extends LineOutput {
  /** Replaces the status line below the log. Does nothing without a terminal. */
  status(text: string): void
}

const stderr = 2
const clearLine = '\r\u001b[K'

/**
 * The output to standard error.
 *
 * Writes are synchronous, so that the last line before an exit is not lost.
 */
export function standardError(isTerminal: boolean): StatusOutput {
  let current = ''
  const write = (text: string): void => {
    for (let rest = Buffer.from(text); rest.length > 0; ) {
      try {
        rest = rest.subarray(writeSync(stderr, rest))
      } catch (error) {
        // EAGAIN: the reader of the pipe is slow, so try again. Other errors: the reader is gone, so drop the text.
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

/** The output to standard output, escaped for terminals. */
export function standardOutput(stream: Writable): Print {
  return printTo(stream, { name: 'standard output', escapes: true })
}

/**
 * The output to a stream. Resolves when the stream has accepted the text. A reader that goes away, such as `head`, is no
 * error.
 *
 * @param escapes whether characters that a terminal would execute or hide are escaped
 * @throws OUTPUT_FAILED when writing fails, such as into a file on a full disk
 */
export function printTo(
  stream: Writable,
  { name, escapes }: { readonly name: string; readonly escapes: boolean },
): Print {
  let isClosed = false
  // The callback of `write` reports the same error; without this listener it would also end the process.
  stream.on('error', () => {
    isClosed = true
  })
  return (text) =>
    new Promise((resolve, reject) => {
      if (isClosed || text === '') {
        resolve(!isClosed)
        return
      }
      stream.write(escapes ? escapeText(text) : text, (error) => {
        if (!error) resolve(true)
        else if ((error as NodeJS.ErrnoException).code === 'EPIPE' || isClosed) resolve(false)
        else reject(outputFailed(name, error))
      })
    })
}

/** @param name the file, or `standard output` */
export function outputFailed(name: string, error: unknown): TailraceError {
  return new TailraceError('OUTPUT_FAILED', `Writing to ${name} failed: ${(error as Error).message}.`, {
    cause: error,
  })
}

/** The terminal of a command; everything is false when it runs without one. */
export interface TerminalTraits {
  /** Whether a person can type to standard input. */
  readonly hasInput: boolean
  /** Whether standard output is shown to a person. */
  readonly hasOutput: boolean
  /** Whether standard output shows colors; NO_COLOR and FORCE_COLOR are respected. */
  readonly hasColors: boolean
  /** Whether the process hangs on a terminal in any way, so that SIGHUP says that the terminal is gone. */
  readonly isAttached: boolean
  /** Whether a script of a package manager runs the command, such as `pnpm start`. */
  readonly isScript: boolean
}

/** @param isScript whether a package manager runs the process */
export function terminalTraits(isScript: boolean): TerminalTraits {
  const { stdin, stdout, stderr } = process
  return {
    hasInput: stdin.isTTY === true,
    hasOutput: stdout.isTTY === true,
    hasColors: stdout.isTTY === true && stdout.hasColors(),
    isAttached: [stdin, stdout, stderr].some(({ isTTY }) => isTTY === true),
    isScript,
  }
}
