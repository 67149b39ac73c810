import assert from 'node:assert/strict'
import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveFolder, manifestPath } from '../../../src/sinks/delta/archive/archive-manifest.ts'
import { OffsetArchive } from '../../../src/sinks/delta/archive/offset-archive.ts'
import { ParquetArchiveFiles } from '../../../src/sinks/delta/archive/parquet-archive-files.ts'
import { loadState } from '../../../src/sinks/delta/log/load.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { sqlString } from '../../../src/sinks/encoding/engine.ts'
import { commitChange, type JobScenario, jobScenarios } from './job-scenarios.ts'
import { daysLater, vacuum } from './maintenance/support.ts'
import { onEachStorage } from './on-each-storage.ts'
import { killEverywhere, type StoppedJob } from './stopped-jobs.ts'
import type { Workbench } from './support.ts'

onEachStorage(
  'a process that is killed after any change to a table leaves the rows of before or after, and the next run finishes',
  async (bench, t) => {
    for (const stopped of await killEverywhere(t, bench, jobScenarios)) {
      const { job, changes } = stopped
      await t.test(`${job.name}, ${changes.length} changes`, () => checkDead(stopped))
    }
  },
)

async function checkDead({ job, before, after, changes, dead }: StoppedJob<JobScenario>): Promise<void> {
  for (const made of job.makes) {
    const isMade = changes.some((change) => made.test(change))
    assert.ok(isMade, `${made}`)
  }
  const commits = (count: number) =>
    changes.slice(0, count).filter((change) => commitChange.test(change)).length
  const first = (await stateOf(before)).seen
  const last = (await stateOf(after)).seen
  // After a commit between the first and the last one it is the first dead table that tells.
  const seenAfter = new Map([
    [0, first],
    [commits(changes.length), last],
  ])
  await job.next(after)
  const end = await endOf(after)
  for (const [count, one] of dead.entries()) {
    const where = `killed after ${count} changes, the last one: ${changes[count - 1]}`
    const { seen } = await stateOf(one)
    assert.deepEqual(seen.rows, commits(count) < commits(changes.length) ? first.rows : last.rows, where)
    assert.deepEqual(seen, seenAfter.get(commits(count)) ?? seen, where)
    seenAfter.set(commits(count), seen)
    await job.next(one)
    assert.deepEqual(await endOf(one), end, where)
  }
}

/** What a reader sees: it reads every live file, and fails when one is missing. */
async function stateOf({ storage, engine, staging }: Workbench) {
  const { files, transactions } = (await loadState(storage, engine, { keepFiles: true })) ?? {}
  const live = Array.from(files?.values() ?? [], ({ path }) => path).sort()
  const copies = await Promise.all(live.map((path) => storage.localFile(path)))
  const list = copies.map(({ path }) => sqlString(path)).join(', ')
  const rows = await engine.rows(
    live.length === 0
      ? 'SELECT 1 WHERE false'
      : `FROM read_parquet([${list}], hive_partitioning = false) ORDER BY source_offset`,
  )
  await Promise.all(copies.map((copy) => copy.release()))
  const { landed = [], archivedAtMs } = transactions ?? {}
  const offsets = new Map(Array.from(landed, ({ blob, offset }) => [blob, offset]))
  const archived: string[] = []
  if (archivedAtMs !== undefined) {
    const files = new ParquetArchiveFiles({ storage, engine, stagingDirectory: staging })
    const archive = await OffsetArchive.open(archivedAtMs, { storage, files })
    archived.push(manifestPath(archivedAtMs), ...archive.files.map(({ name }) => `${archiveFolder}/${name}`))
    await archive.each(async (some) => {
      for (const { blob, offset } of some) if (!offsets.has(blob)) offsets.set(blob, offset)
      return true
    })
    await files.keepOnly([])
  }
  return { live, archived, seen: { rows, offsets, files: live.length } }
}

/** A table after its next run, when all that is no longer needed has expired. */
async function endOf(bench: Workbench) {
  const { storage } = bench
  const log = (await storage.list('_delta_log')).sort()
  const { live, archived, seen } = await stateOf(bench)
  await vacuum(bench, { clock: daysLater(60) })
  // A hidden name is none of vacuum's.
  const left = (await bench.dataFiles()).filter((name) => !name.endsWith('.tmp'))
  assert.deepEqual(left, [...archived, ...live].sort())
  if (storage instanceof LocalDeltaStorage) await checkTemporaries(bench)
  return { ...seen, log }
}

/** What a dead process had not yet put into the log goes with the next opening, once it is old. */
async function checkTemporaries({ table, storage }: Workbench): Promise<void> {
  const temporaries = async (): Promise<string[]> => {
    const folders = ['_delta_log', archiveFolder].map((folder) => join(table, folder))
    const paths = await Promise.all(
      folders.map(async (folder) =>
        (await readdir(folder).catch(() => [])).map((name) => join(folder, name)),
      ),
    )
    return paths.flat().filter((path) => path.endsWith('.tmp'))
  }
  const old = Date.now() / 1000 - 2 * 3_600
  for (const path of await temporaries()) await utimes(path, old, old)
  await storage.prepare()
  assert.deepEqual(await temporaries(), [])
}
