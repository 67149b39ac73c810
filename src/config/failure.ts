import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Where a config stopped being understood, or running. */
interface Place {
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** 1-based; some of Node's errors have none. */
  readonly column: number | undefined
  /** What is wrong there, where the place says it better than the error. */
  readonly message?: string
}

/**
 * Says in a sentence why a config file could not be loaded, with file, line, column and the line itself. Text in it that
 * may be a secret is masked.
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

/** The TypeScript loader's errors have the place in their text: `FILE:LINE:COLUMN: ERROR: …`, its column 0-based in bytes. */
function placeOfTransform({ message }: Error): Place | undefined {
  const [, named, line, column, text] = /^(.+):(\d+):(\d+): ERROR: (.*)$/m.exec(message) ?? []
  if (named === undefined) return undefined
  // It names every file of TypeScript as if it ended in `.ts`.
  const names = [named, named.replace(/\.ts$/, '.mts'), named.replace(/\.ts$/, '.cts')]
  const file = names.find((name) => existsSync(name)) ?? named
  const before = Buffer.from(lineOf(file, Number(line)) ?? '').subarray(0, Number(column))
  return { file, line: Number(line), column: before.toString().length + 1, message: text as string }
}

/** Node puts the place of what it could not link before a stack; what a config throws has it in a frame. */
function placeOfStack(stack: string): Place | undefined {
  const [, headFile, headLine] = /^(\/.+|file:.+|[A-Z]:\\.+):(\d+)\n/.exec(stack) ?? []
  if (headFile !== undefined) return { file: pathOf(headFile), line: Number(headLine), column: undefined }
  for (const [, file = '', line, column] of stack.matchAll(/^ +at (?:.* \()?(.+?):(\d+):(\d+)\)?$/gm)) {
    if (/^node:|[\\/]node_modules[\\/]/.test(file)) continue
    return { file: pathOf(file), line: Number(line), column: Number(column) }
  }
  return undefined
}

/** Of a module that is plain JavaScript, Node tells where a syntax error is only to whoever runs it. */
async function placeOfCheck(file: string, error: Error): Promise<Place | undefined> {
  if (error.name !== 'SyntaxError') return undefined
  const check = promisify(execFile)(process.execPath, ['--check', file], { env: {}, timeout: 10_000 })
  const told = await check.then(
    () => '',
    ({ stderr }: { readonly stderr?: string }) => stderr ?? '',
  )
  const place = placeOfStack(told)
  const caret = /^( *)\^/m.exec(told)?.[1]
  return place === undefined || caret === undefined ? place : { ...place, column: caret.length + 1 }
}

function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file
}

function excerpt({ file, line, column }: Place): string {
  const text = lineOf(file, line)
  if (text === undefined) return ''
  // Of a line that was minified, the part around the column.
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

/** Masks the values of options that are secrets, and long words with digits; a column stays where it is. */
function withoutSecrets(line: string): string {
  const masked = (text: string): string => '*'.repeat(text.length)
  return line
    .replace(
      /(\w*(?:key|secret|token|connectionString|password)\w*['"]?\s*[:=]\s*['"`]?)([^'"`,}\s]+)/gi,
      (_, name: string, value: string) => name + masked(value),
    )
    .replace(/[^\s'"`(){},]{16,}/g, (word) => (/\d/.test(word) ? masked(word) : word))
}
