import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedClock } from '../../../doubles/simulated-clock.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { RecordPage } from '../../../src/page/api.ts'
import { LogTables } from '../../../src/page/logs/log-tables.ts'
import { readRecords } from '../../../src/page/logs/record-pages.ts'
import type { QuerySession } from '../../../src/sinks/query-session.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { deltaTarget } from '../../support/delta-target.ts'

const columns = [
  ...['event_us', 'message', 'source_table', 'source_blob', 'source_generation', 'source_offset'],
  ...['source_index', 'parse_status', 'event_time', 'severity', 'server_name', 'source_role', 'db_name'],
  ...['user_name', 'application_name', 'pid', 'session_id', 'sqlstate', 'event', 'duration_ms', 'raw'],
  ...['detail', 'statement'],
]

const config = resolveConfig(
  {
    pipelines: {
      primary: {
        source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'pg' },
        table: postgresLogs('test.logs.primary'),
        sink: { kind: 'delta', root: 'tables' },
      },
    },
  },
  '/',
)

interface Answers {
  /** Whether a record with a time matches. */
  readonly hasTimed: boolean
  /** Milliseconds of the clock that a statement takes: of records with a time, and of those without one. */
  readonly timedMs: number
  readonly untimedMs: number
}

/** Reads pages of one table, which has a record without a time and perhaps one with a time. */
function pagesOf({ hasTimed, timedMs, untimedMs }: Answers): (before?: string) => Promise<RecordPage> {
  const clock = new SimulatedClock()
  const refused = async (): Promise<never> => assert.fail('nothing but rows is asked for')
  const session: QuerySession = {
    files: async () => [
      { id: 'file', bytes: 1, rows: 1, bounds: { fromMs: 1_000, toMs: 1_000 }, noneNull: true },
    ],
    run: async ({ sql, take, signal }) => {
      const isTimed = !sql.includes('event_time IS NULL')
      // Once the places of records are known, their columns are read at once.
      const isSearch = !sql.includes('message')
      if (isSearch) await clock.sleep(isTimed ? timedMs : untimedMs, signal)
      const texts = isTimed ? ['1000000', 'timed'] : [null, 'untimed']
      const rest = ['primary', 'logs/pg', 'g', 0, 0, 'parsed', ...Array.from({ length: 15 }, () => null)]
      if (!isTimed || hasTimed) await take({ columns, rows: [[...texts, ...rest]] })
      return { files: 1, readFiles: 1 }
    },
    writeParquet: refused,
    close: refused,
  }
  const tables = new LogTables(session, [deltaTarget(config, 'primary')], {
    tableId: () => 'primary',
    relationOf: () => 'primary',
  })
  const { signal } = new AbortController()
  return (before) => clock.run(readRecords(tables, {}, { before, limit: 10 }, { clock, signal }))
}

const messages = ({ records }: RecordPage): unknown[] => records.map(({ message }) => message)

test('records with and without a time are on one page when both are found at once', async () => {
  const page = await pagesOf({ hasTimed: true, timedMs: 100, untimedMs: 100 })()
  assert.deepEqual(messages(page), ['timed', 'untimed'])
  assert.equal(page.next, undefined)
})

test('records that were found do not wait for a search of those without a time, which are on the next page', async () => {
  for (const [timedMs, elapsedMs] of [
    [100, 2_000],
    [3_000, 3_000],
  ] as const) {
    const read = pagesOf({ hasTimed: true, timedMs, untimedMs: 5_000 })
    const first = await read()
    assert.deepEqual(messages(first), ['timed'])
    assert.equal(first.elapsedMs, elapsedMs)
    const second = await read(first.next ?? assert.fail('there are more'))
    assert.deepEqual(messages(second), ['untimed'])
    assert.equal(second.next, undefined)
  }
})

test('a search that has found nothing by the time of a reply goes on with the records without a time', async () => {
  const read = pagesOf({ hasTimed: false, timedMs: 3_000, untimedMs: 5_000 })
  const first = await read()
  assert.deepEqual([messages(first), first.elapsedMs], [[], 3_000])
  assert.deepEqual(messages(await read(first.next)), ['untimed'])
})

test('a search of the records without a time ends after 20 s, as every part of a search does', async () => {
  const read = pagesOf({ hasTimed: true, timedMs: 100, untimedMs: 60_000 })
  const { next } = await read()
  await assert.rejects(read(next), { name: 'TimeoutError' })
})
