import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { type SearchOptions, search } from '../../src/commands/search.ts'
import { matchesSql } from '../../src/commands/searching/search-sql.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { landAll, openBench, outputOf } from './command-fixture.ts'

interface Line {
  readonly second: number
  readonly session?: string
  readonly severity?: string
  readonly message?: string
  readonly more?: Readonly<Record<string, string>>
}

const start = Date.UTC(2026, 10, 24, 9)

function line({ second, session = 's1', severity = 'LOG', message = `at ${second}`, more }: Line): string {
  const time = new Date(start + second * 1_000).toISOString()
  const record = {
    timestamp: `${time.slice(0, 10)} ${time.slice(11, 23)} UTC`,
    user: 'app',
    dbname: 'orders',
    pid: 7,
    session_id: session,
    line_num: second + 1,
    error_severity: severity,
    message,
    backend_type: 'client backend',
    ...more,
  }
  return JSON.stringify(record)
}

async function landed(t: TestContext, lines: readonly string[]): Promise<ResolvedConfig> {
  const bench = await openBench(t)
  await bench.storage.append('primary', linesAsBytes(lines))
  await landAll(bench.config({ primary: {} }))
  // Nothing has landed in the table of the other pipeline.
  return bench.config({ primary: {}, later: {} })
}

async function found(config: ResolvedConfig, options: Partial<SearchOptions>): Promise<string[]> {
  const { code, text } = await outputOf(config, (context) => search(context, { limit: 100, ...options }))
  assert.equal(code, 0)
  return text.split('\n').slice(0, -1)
}

const messageOf = (text: string): string => text.replace(/^.*\[7\] \w+ +/, '')

test('a text is found in any column of texts and any case, and its characters stand for themselves', async (t) => {
  const config = await landed(t, [
    line({ second: 0, message: 'Deadlock detected' }),
    line({ second: 1, more: { detail: 'a DEADLOCK, told' } }),
    line({ second: 2, message: 'deadlXck' }),
    line({ second: 3, message: "100% of it's a_b!" }),
    line({ second: 4, message: '1000 of its aXb!' }),
    'a deadlock that is no JSON',
  ])
  assert.deepEqual((await found(config, { text: 'deadlock' })).map(messageOf), [
    '(no time) REJECTED a deadlock that is no JSON'.replace(/^/, ' '),
    'Deadlock detected',
    'at 1',
    '    DETAIL: a DEADLOCK, told',
  ])
  assert.deepEqual((await found(config, { text: "100% of it's A_B!" })).map(messageOf), ["100% of it's a_b!"])
  const evil = "x' OR '1'='1"
  assert.deepEqual(await found(config, { text: evil }), [])
  const spark = matchesSql(
    { relation: '`a`.`b`', dialect: 'spark' },
    { text: `it's \\ $${'{x}'}`, sinceMs: start },
    5,
  )
  assert.match(spark, /contains\(lower\(message\), lower\('it\\'s \\\\ \\u0024\{x\}'\)\)/)
  assert.match(spark, /event_time >= TIMESTAMP '2026-11-24T09:00:00\.000Z'/)
})

test('filters are combined, and the newest matches are shown in the order of their time', async (t) => {
  const config = await landed(t, [
    ...Array.from({ length: 9 }, (_, second) =>
      line({ second, severity: second % 3 === 0 ? 'ERROR' : 'LOG' }),
    ),
    line({ second: 9, severity: 'ERROR', more: { dbname: 'stock', user: 'other' } }),
  ])
  const seconds = async (options: Partial<SearchOptions>): Promise<string[]> =>
    (await found(config, options)).map((text) => text.replace(/^.* at /, ''))
  assert.deepEqual(await seconds({ severities: ['ERROR'] }), ['0', '3', '6', '9'])
  assert.deepEqual(await seconds({ severities: ['ERROR', 'FATAL'], database: 'orders' }), ['0', '3', '6'])
  assert.deepEqual(await seconds({ user: 'other' }), ['9'])
  assert.deepEqual(await seconds({ sinceMs: start + 3_000, untilMs: start + 5_000 }), ['3', '4'])
  assert.deepEqual(await seconds({ limit: 2 }), ['8', '9'])
  assert.deepEqual(await seconds({ server: 'replica' }), [])
  const json = await found(config, { user: 'other', json: true })
  const { match, message, source_offset } = JSON.parse(json[0] ?? '')
  assert.deepEqual([json.length, match, message, Number(source_offset) > 0], [1, true, 'at 9', true])
})

test('the context of a match is of its own session, and groups that meet are one', async (t) => {
  const config = await landed(
    t,
    Array.from({ length: 20 }, (_, second) =>
      line({
        second,
        session: second % 2 === 0 ? 'even' : 'odd',
        message: [8, 9, 12].includes(second) ? `hit ${second}` : `at ${second}`,
      }),
    ),
  )
  assert.deepEqual(
    (await found(config, { text: 'hit', around: 1 })).map((text) =>
      text === '--' ? text : text[0] + messageOf(text),
    ),
    ['-at 6', ' hit 8', '-at 10', ' hit 12', '-at 14', '--', '-at 7', ' hit 9', '-at 11'],
  )
})

test('a search opens only the files of its range, and --follow prints what lands later, once', async (t) => {
  const storage = await startStorage(t)
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const env = { TAILRACE_CONFIG: configPath, LOG_LEVEL: 'debug' }
  const config = await loadConfig(configPath)
  for (const day of [0, 1, 2]) {
    await storage.append('primary', linesAsBytes([line({ second: day * 86_400, message: `old ${day}` })]))
    await landAll(config)
  }
  const range = ['--since', '2026-11-25T00:00:00Z', '--until', '2026-11-26T00:00:00Z']
  const once = await runTailrace(t, ['search', '--severity', 'log,error', 'old', ...range], { env })
  assert.match(once.stdout, /^ 2026-11-25 09:00:00\.000Z .* old 1\n$/)
  const readings = once.process.log.filter(({ msg }) => msg === 'read files of a table')
  assert.deepEqual(
    readings.map(({ files, readFiles }) => [files, readFiles]),
    [[3, 1]],
  )

  const following = startTailrace(t, ['search', 'new', '--follow', '--poll', '200ms'], { env })
  const pipeline = startTailrace(t, ['start'], { env })
  await pipeline.until(() => pipeline.logged('a blob goes on'), 'the start')
  for (const second of [1, 2]) {
    await storage.append(
      'primary',
      linesAsBytes([line({ second: 3 * 86_400 + second, message: `new ${second}` })]),
    )
    await following
      .until(() => following.stdout.includes(`new ${second}\n`), `match ${second}`)
      .catch((cause: unknown) => {
        throw new Error(`The pipeline logged:\n${pipeline.stderr}`, { cause })
      })
  }
  following.kill('SIGINT')
  assert.deepEqual(await following.exited, { code: 130, signal: null })
  assert.equal(following.stdout.split('\n').length, 3, following.stdout)
})

for (const [aheadMs, what] of [
  [5_000, 'was encoded before the search and became visible after it'],
  [-5_000, 'was encoded after the search began and was found by it'],
  [600_000, 'was encoded ten minutes before it became visible, as after an outage'],
] as const) {
  test(`--follow prints a record once that ${what}`, async (t) => {
    const bench = await openBench(t)
    const config = bench.config({ primary: {} })
    const land = async (second: number) => {
      await bench.storage.append('primary', linesAsBytes([line({ second, message: `hit ${second}` })]))
      await landAll(config)
    }
    await land(1)
    await land(2)
    const clock = { ...systemClock, now: () => Date.now() + aheadMs }
    const printed: string[] = []
    await outputOf(config, (context) => {
      const printRaw = async (text: string) => {
        printed.push(messageOf(text.trimEnd()))
        if (printed.length === 1) {
          await land(3)
          await land(4)
        }
        return !printed.includes('hit 4')
      }
      return search({ ...context, clock, printRaw }, { limit: 1, text: 'hit', follow: true, pollMs: 20 })
    })
    // The limit of the search left out the first.
    assert.deepEqual(printed, ['hit 2', 'hit 3', 'hit 4'])
  })
}

test('the name of a level finds its words in all languages', async (t) => {
  const severities = ['ERROR', 'FEHLER', 'LOG', 'DEBUG1']
  const config = await landed(
    t,
    severities.map((severity, second) => line({ second, severity })),
  )
  const wanted = await found(config, { severities: ['ERROR', 'DEBUG'] })
  assert.deepEqual(wanted.map(messageOf), ['at 0', 'at 1', 'at 3'])
})

test('--follow reads a limited number of new matches at once, the latest, and says so', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  await bench.storage.append('primary', linesAsBytes([line({ second: 0, message: 'hit 0' })]))
  await landAll(config)
  const printed: string[] = []
  const warned: unknown[] = []
  await outputOf(config, (context) => {
    const logger = { ...context.logger, warn: (...given: readonly unknown[]) => void warned.push(given[1]) }
    const printRaw = async (text: string) => {
      printed.push(messageOf(text.trimEnd()))
      if (printed.length === 1) {
        const many = Array.from({ length: 5_200 }, (_, index) =>
          line({ second: index + 1, message: `hit ${index + 1}` }),
        )
        await bench.storage.append('primary', linesAsBytes(many))
        await landAll(config)
      }
      return !printed.includes('hit 5200')
    }
    return search({ ...context, logger, printRaw }, { limit: 10, text: 'hit', follow: true, pollMs: 20 })
  })
  assert.deepEqual([printed.length, printed[1]], [5_001, 'hit 201'])
  assert.deepEqual(warned, ['new matches are left out: search for fewer'])
})
