import assert from 'node:assert/strict'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { findPostgres, type PostgresPair, startPostgresPair } from '../../sample/postgres-pair.ts'
import { sqlString } from '../../src/sinks/encoding/engine.ts'
import { withEngine } from '../../src/sinks/encoding/engine-session.ts'
import { askDeltaRs, deltaRsMissing } from '../interop/delta-rs.ts'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce, mirroredOffset } from '../support/landed-once.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { readTable, selectFrom } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const skip = skipUnless(findPostgres() ? false : 'PostgreSQL 15 or newer with pgbench is not installed')
const roles = ['primary', 'replica'] as const
const shipEveryMs = 50
const traffic = ['--time', '4', '--rate', '150', '--client', '4']

const blobOf = (role: string) => `${role}.json`

/** Ships what is appended to a file to an append blob, as it comes, until the signal; then the rest. */
async function ship(path: string, storage: TestStorage, blob: string, signal: AbortSignal): Promise<void> {
  const file = await open(path)
  try {
    let position = 0
    const shipNew = async (): Promise<void> => {
      const part = Buffer.alloc(1024 * 1024)
      for (;;) {
        const { bytesRead } = await file.read(part, 0, part.length, position)
        if (bytesRead === 0) return
        await storage.append(blob, part.subarray(0, bytesRead))
        position += bytesRead
      }
    }
    while (!signal.aborted) {
      await shipNew()
      await delay(shipEveryMs, undefined, { signal }).catch(() => {})
    }
    await shipNew()
  } finally {
    await file.close()
  }
}

/** A few seconds of reads and writes, with mistakes and characters of several bytes. */
async function runTraffic({ primary, replica, catchUp }: PostgresPair): Promise<void> {
  await primary.pgbench(['--initialize', '--quiet'])
  await catchUp()
  await Promise.all([
    primary.pgbench([...traffic, '--protocol=prepared'], { applicationName: 'ledger' }),
    replica.pgbench([...traffic, '--select-only', '--no-vacuum'], { applicationName: 'ledger-read' }),
    primary.psql("select 'größer 📚'; select 1 / 0; select no_such_column;", { onError: 'continue' }),
    replica.psql('delete from pgbench_history', { onError: 'continue' }),
  ])
}

async function startServers(t: TestContext): Promise<PostgresPair> {
  const pair = await startPostgresPair({ directory: await temporaryDirectory(t) })
  t.after(() => pair.stop())
  return pair
}

/** Counts of what a log file's lines say, read as text: query ids are beyond what a number holds. */
function facts(log: string) {
  const queryIds: string[] = []
  const severities: Record<string, number> = {}
  for (const line of log.trimEnd().split('\n')) {
    const queryId = /"query_id":(-?\d+)/.exec(line)?.[1]
    queryIds.push(queryId === undefined || queryId === '0' ? '' : queryId)
    const severity = /"error_severity":"(\w+)"/.exec(line)?.[1] ?? ''
    severities[severity] = (severities[severity] ?? 0) + 1
  }
  return { queryIds, severities }
}

test('the logs of a live primary and its replica are in their tables, line by line and digit by digit', {
  skip,
}, async (t) => {
  const pair = await startServers(t)
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: Object.fromEntries(roles.map((role) => [role, { blobs: blobOf(role) }])),
    batch: { maxAgeMs: 500 },
  })
  const shipping = new AbortController()
  const shippers = roles.map((role) => ship(pair[role].jsonlogPath, storage, blobOf(role), shipping.signal))
  const running = startTailrace(t, ['start', '--config', project.configPath])
  await running.until(() => running.logged('landed'), 'the first batch')
  await runTraffic(pair)
  await pair.stop()
  shipping.abort()
  await Promise.all(shippers)

  const logs = new Map<string, Buffer>()
  for (const role of roles) logs.set(role, await readFile(pair[role].jsonlogPath))
  await eventually(async () => {
    const offsets = await Promise.all(
      roles.map((role) => mirroredOffset(project.offsetPath(role), blobOf(role))),
    )
    return roles.every((role, index) => offsets[index] === logs.get(role)?.length)
  }, 'landing of both logs')
  running.kill('SIGTERM')
  assert.deepEqual(await running.exited, { code: 143, signal: null }, running.stderr.slice(-4_000))

  const deltaRsSkip = skipUnless(await deltaRsMissing())
  for (const role of roles) {
    const log = logs.get(role)!
    assert.deepEqual(await storage.content(blobOf(role)), log)
    const table = project.tableDirectory(role)
    const rows = await readTable(table)
    assert.ok(rows.length > 300, `${role} logged only ${rows.length} lines`)
    assert.ok(rows.every(({ status }) => status === 'ok'))
    assert.equal(assertLandedOnce(blobOf(role), log, rows), log.length)
    assert.equal(await mirroredOffset(project.offsetPath(role), blobOf(role)), log.length)

    const expected = facts(log.toString('utf8'))
    const found = await selectFrom(
      table,
      (from) => `SELECT coalesce(query_id::VARCHAR, '') AS query_id FROM ${from} ORDER BY source_offset`,
    )
    assert.deepEqual(
      found.map(({ query_id }) => query_id),
      expected.queryIds,
    )
    assert.ok(expected.queryIds.some((id) => id !== '' && !Number.isSafeInteger(Number(id))))
    const counted = await selectFrom(
      table,
      (from) => `SELECT severity, count(*)::INTEGER AS n FROM ${from} GROUP BY severity`,
    )
    assert.deepEqual(
      Object.fromEntries(counted.map(({ severity, n }) => [String(severity), n])),
      expected.severities,
    )
    assert.ok(expected.severities.ERROR)

    if (deltaRsSkip !== false) continue
    const parquet = join(directory, `${role}.parquet`)
    await askDeltaRs({ table, rows: parquet })
    const theirs = await withEngine((engine) =>
      engine.rows(`SELECT raw FROM read_parquet(${sqlString(parquet)}) ORDER BY source_offset`),
    )
    assert.deepEqual(
      theirs.map(({ raw }) => raw),
      rows.map(({ raw }) => raw),
    )
  }
  if (deltaRsSkip !== false) t.diagnostic(`not read by delta-rs: ${deltaRsSkip}`)
})
