import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The position in a config at which loading failed. */
interface Place {
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** 1-based; undefined if Node's error has none. */
  readonly column: number | undefined
  /** A better message than that of the error. */
  readonly message?: string | undefined
}

/**
 * @returns why a config file could not be loaded, with file, line and column, and the line itself with secrets masked
 */
export async function describeConfigFailure(file: string, error: unknown): Promise<string> {
  const message = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
  const place =
    error instanceof Error
      ? (placeOfTransform(error) ?? placeOfStack(error.stack ?? '') ?? (await placeOfCheck(file, error)))
      : undefined
  if (place === undefined) return `The config file ${file} failed: ${message}.`
  const at = [place.file, place.line, place.column].filter((part) => part !== undefined).join(':')
  return `The config file ${file} failed: ${place.message ?? message}\n  at ${at}${excerpt(place)}`
}

/** Reads an error of the TypeScript loader: `FILE:LINE:COLUMN: ERROR: …`, with a 0-based column in bytes. */
function placeOfTransform({ message }: Error): Place | undefined {
  const [, named, line, column, text] = /^(.+):(\d+):(\d+): ERROR: (.*)$/m.exec(message) ?? []
  if (named === undefined) return undefined
  // The loader reports `.mts` and `.cts` files as `.ts`.
  const names = [named, named.replace(/\.ts$/, '.mts'), named.replace(/\.ts$/, '.cts')]
  const file = names.find((name) => existsSync(name)) ?? named
  const before = Buffer.from(lineOf(file, Number(line)) ?? '').subarray(0, Number(column))
  return { file, line: Number(line), column: before.toString().length + 1, message: text as string }
}

/** Reads a stack: Node puts the position of a link error before it, and that of a thrown error in a frame. */
function placeOfStack(stack: string): Place | undefined {
  const [, headFile, headLine] = /^(\/.+|file:.+|[A-Z]:\\.+):(\d+)\n/.exec(stack) ?? []
  if (headFile !== undefined) return { file: pathOf(headFile), line: Number(headLine), column: undefined }
  for (const [, file = '', line, column] of stack.matchAll(/^ +at (?:.* \()?(.+?):(\d+):(\d+)\)?$/gm)) {
    if (/^node:|[\\/]node_modules[\\/]/.test(file)) continue
    return { file: pathOf(file), line: Number(line), column: Number(column) }
  }
  return undefined
}

/** Finds a syntax error in plain JavaScript: only `node --check` reports its position. */
async function placeOfCheck(file: string, error: Error): Promise<Place | undefined> {
  if (error.name !== 'SyntaxError') return undefined
  const check = promisify(execFile)(process.execPath, ['--check', file], { env: {}, timeout: 10_000 })
  const output = await check.then(
    () => '',
    ({ stderr }: { readonly stderr?: string }) => stderr ?? '',
  )
  const place = placeOfStack(output)
  const caret = /^( *)\^/m.exec(output)?.[1]
  return place === undefined || caret === undefined ? place : { ...place, column: caret.length + 1 }
}

function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file
}

function excerpt({ file, line, column }: Place): string {
  const text = lineOf(file, line)
  if (text === undefined) return ''
  // Of a long line, such as a minified one, only the part around the column.
  const from = column === undefined || column < 90 ? 0 : column - 60
  const number = `  ${line} | `
  const caret = column === undefined ? '' : `\n${' '.repeat(number.length + column - 1 - from)}^`
  return `\n${number}${withoutSecrets(text)
    .replaceAll('\t', ' ')
    .slice(from, from + 100)}${caret}`
}

function lineOf(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/)[line - 1]
  } catch {
    return undefined
  }
}

/** Masks the values of secret options, and long words with digits. The mask has the same length, so columns do not move. */
function withoutSecrets(line: string): string {
  const masked = (text: string): string => '*'.repeat(text.length)
  return line
    .replace(
      /(\w*(?:key|secret|token|connectionString|password)\w*['"]?\s*[:=]\s*['"`]?)([^'"`,}\s]+)/gi,
      (_, name: string, value: string) => name + masked(value),
    )
    .replace(/[^\s'"`(){},]{16,}/g, (word) => (/\d/.test(word) ? masked(word) : word))
}
