// Writes what this release leaves behind, to be kept for the tests of later ones: `tsx test/upgrades/write-fixture.ts`, once per
// format version, into a folder that does not exist yet. A later release adds a folder and changes none.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import type { LoadIntent } from '../../src/offsets/load-intent.ts'
import { OffsetFile } from '../../src/offsets/offset-file.ts'
import { ageOffsets } from '../support/aged-offsets.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { openStorage } from '../support/storage.ts'
import { TailraceProcess } from '../support/tailrace-process.ts'

const folder = join(import.meta.dirname, 'format-2')
if (existsSync(folder)) throw new Error(`${folder} is there already: a written fixture is never changed.`)

const root = mkdtempSync(join(tmpdir(), 'tailrace-fixture-'))
const storage = await openStorage()
async function tailrace(...command: string[]): Promise<void> {
  const run = new TailraceProcess([...command, '--config', join(import.meta.dirname, 'upgrade.config.mjs')], {
    env: { STORAGE: storage.connectionString, ROOT: root },
    asShipped: true,
  })
  const { code } = await run.exited
  if (code !== 0) throw new Error(`The command ended with ${code}: ${run.stderr}`)
}

/** Lands lines of a blob whose offset then moves into the archive, and keeps the blob. */
async function landArchived(blob: string, lines: readonly string[]): Promise<void> {
  await storage.append(blob, linesAsBytes(lines))
  await tailrace('start', '--once')
  await ageOffsets(join(root, 'lakehouse/lake/logs/primary/_delta_log'))
  await tailrace('optimize')
  const kept = join(folder, 'blobs', blob)
  await mkdir(dirname(kept), { recursive: true })
  await writeFile(kept, await storage.content(blob))
}

await landArchived('primary/a.ndjson', [jsonlogLine(1), 'no JSON', jsonlogLine(2)])
await storage.append('primary/c.ndjson', linesAsBytes([jsonlogLine(3)]))
await tailrace('start', '--once')
await storage.stop()

// The file of a Databricks table, of which one load is unclear and another one had begun.
const offsets = new LandedOffsets()
offsets.set({ blob: 'logs/primary/a.ndjson', generation: '20261124T084700Z', offset: 100 })
const file = new OffsetFile({
  stateDirectory: join(root, 'state'),
  pipeline: 'staged',
  table: 'lake.logs.staged',
})
await file.write(offsets, {
  intent: begunLoad('batch-2', 'logs/primary/b.ndjson'),
  unsettled: [begunLoad('batch-1', 'logs/primary/a.ndjson')],
})

function begunLoad(id: string, blob: string): LoadIntent {
  return {
    id,
    mode: 'copy-into',
    spans: [{ blob, generation: '20261124T084700Z', start: 100, end: 200 }],
    files: [{ name: `${id}-0.parquet`, bytes: 1_000, rows: 2 }],
  }
}

for (const part of ['lakehouse', 'state']) {
  await cp(join(root, part), join(folder, part), {
    recursive: true,
    filter: (path) => !path.includes('staging'),
  })
}
await rm(root, { recursive: true })
execFileSync('find', [folder, '-type', 'f'], { stdio: 'inherit' })
