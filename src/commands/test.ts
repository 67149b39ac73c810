import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { choosePipeline } from '../config/choose-pipelines.ts'
import { TailraceError } from '../errors.ts'
import { recordRows } from '../run/record-rows.ts'
import type { JsonRow } from '../sinks/encoding/engine.ts'
import type { CommandContext } from './command.ts'

export interface TestOptions {
  /** Has a folder for each pipeline, with the cases in it. */
  readonly directory: string
  readonly pipeline?: string | undefined
  /** Write a JUnit report to this file as well. */
  readonly junit?: string | undefined
  /** Write the rows found as the expected ones. Default false. */
  readonly update?: boolean | undefined
}

/** A pair of files: records in, rows expected. */
interface TestCase {
  readonly pipeline: string
  readonly name: string
  readonly inputPath: string
  readonly expectedPath: string
}

interface TestResult extends TestCase {
  readonly durationMs: number
  /** Undefined when the rows are as expected. */
  readonly failure: string | undefined
}

const inputEnd = '.input.ndjson'
const expectedEnd = '.expected.ndjson'

/** Columns that say where a row comes from; an expectation may name them, but `--update` leaves them out. */
const placeColumns = /^(?:source_(?:blob|generation|offset|length|index)|ingest_ts)$/

/**
 * Runs test cases through the transforms and the table of their pipelines, without storage, and prints TAP.
 *
 * @returns the exit code: 1 when a case fails
 * @throws USAGE when there is no case
 */
export async function test(context: CommandContext, options: TestOptions): Promise<number> {
  const { clock, config, print } = context
  const cases = await casesIn(options)
  const results: TestResult[] = []
  await print(`TAP version 14\n1..${cases.length}\n`)
  for (const [index, one] of cases.entries()) {
    const startedAtMs = clock.now()
    const pipeline = choosePipeline(config, one.pipeline)
    const bytes = await readFile(one.inputPath)
    const rows = await recordRows(one.pipeline, pipeline, endedByNewline(bytes))
    if (options.update === true) await writeFile(one.expectedPath, rows.map(expectationOf).join(''))
    const failure = await difference(one.expectedPath, rows)
    results.push({ ...one, durationMs: clock.now() - startedAtMs, failure })
    const title = `${one.pipeline}/${one.name}`
    await print(
      failure === undefined
        ? `ok ${index + 1} - ${title}\n`
        : `not ok ${index + 1} - ${title}\n${diagnostics(failure)}`,
    )
  }
  if (options.junit !== undefined) await writeFile(options.junit, junitText(results))
  return results.some(({ failure }) => failure !== undefined) ? 1 : 0
}

async function casesIn({ directory, pipeline: only }: TestOptions): Promise<TestCase[]> {
  const folders = await readdir(directory, { withFileTypes: true }).catch((error: Error) => {
    throw new TailraceError('USAGE', `The test cases cannot be read: ${error.message}`, { cause: error })
  })
  const pipelines = folders
    .filter((folder) => folder.isDirectory() && (only === undefined || folder.name === only))
    .map(({ name }) => name)
    .toSorted()
  const cases: TestCase[] = []
  for (const pipeline of pipelines) {
    const folder = join(directory, pipeline)
    for (const file of (await readdir(folder)).toSorted()) {
      if (!file.endsWith(inputEnd)) continue
      const name = file.slice(0, -inputEnd.length)
      cases.push({
        pipeline,
        name,
        inputPath: join(folder, file),
        expectedPath: join(folder, `${name}${expectedEnd}`),
      })
    }
  }
  if (cases.length > 0) return cases
  throw new TailraceError(
    'USAGE',
    `There is no test case in ${directory}: expected files PIPELINE/NAME${inputEnd} and PIPELINE/NAME${expectedEnd}.`,
  )
}

function endedByNewline(bytes: Buffer): Buffer {
  return bytes.length === 0 || bytes.at(-1) === 0x0a ? bytes : Buffer.concat([bytes, Buffer.from('\n')])
}

function expectationOf(row: JsonRow): string {
  const columns = Object.entries(row).filter(([name, value]) => value !== null && !placeColumns.test(name))
  return `${JSON.stringify(Object.fromEntries(columns))}\n`
}

/** Compares the columns that an expected row names; the others do not matter. */
async function difference(path: string, rows: readonly JsonRow[]): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return `there is no ${path}: write it, or run with --update`
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length !== rows.length) return `found ${rows.length} rows, expected ${lines.length}`
  for (const [index, line] of lines.entries()) {
    const expected = JSON.parse(line) as JsonRow
    const row = rows[index] as JsonRow
    for (const [column, value] of Object.entries(expected)) {
      if (!Object.hasOwn(row, column)) return `row ${index + 1}: the table has no column ${column}`
      if (!isSame(row[column], value)) {
        return `row ${index + 1}, ${column}: found ${JSON.stringify(row[column])}, expected ${JSON.stringify(value)}`
      }
    }
  }
  return undefined
}

/** The engine gives integers of 64 bits and instants as text; an expectation may have a number. */
function isSame(found: unknown, expected: unknown): boolean {
  return (
    JSON.stringify(found) === JSON.stringify(expected) ||
    (typeof expected === 'number' && found === String(expected))
  )
}

function diagnostics(failure: string): string {
  return `  ---\n  message: ${JSON.stringify(failure)}\n  ...\n`
}

function junitText(results: readonly TestResult[]): string {
  const seconds = (ms: number): string => (ms / 1_000).toFixed(3)
  const failures = results.filter(({ failure }) => failure !== undefined).length
  const cases = results.map(({ pipeline, name, durationMs, failure }) => {
    const begin = `  <testcase classname="${xmlText(pipeline)}" name="${xmlText(name)}" time="${seconds(durationMs)}"`
    return failure === undefined
      ? `${begin}/>`
      : `${begin}><failure message="${xmlText(failure)}"/></testcase>`
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="tailrace" tests="${results.length}" failures="${failures}">`,
    ...cases,
    '</testsuite>',
    '',
  ].join('\n')
}

function xmlText(text: string): string {
  return text.replace(/[&<>"\p{Cc}]/gu, (character) => `&#${character.charCodeAt(0)};`)
}
