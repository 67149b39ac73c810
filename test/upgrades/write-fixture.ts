// Writes what this release leaves behind, to be kept for the tests of later ones: `tsx test/upgrades/write-fixture.ts`, once per
// format version, into a folder that does not exist yet. A later release adds a folder and changes none.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { OffsetFile } from '../../src/offsets/offset-file.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { openStorage } from '../support/storage.ts'
import { TailraceProcess } from '../support/tailrace-process.ts'

const folder = join(import.meta.dirname, 'format-1')
if (existsSync(folder)) throw new Error(`${folder} is there already: a written fixture is never changed.`)

const root = mkdtempSync(join(tmpdir(), 'tailrace-fixture-'))
const storage = await openStorage()
for (const lines of [[jsonlogLine(1), 'no JSON', jsonlogLine(2)], [jsonlogLine(3)]]) {
  await storage.append('primary/a.ndjson', linesAsBytes(lines))
  const run = new TailraceProcess(
    ['start', '--once', '--config', join(import.meta.dirname, 'upgrade.config.ts')],
    { env: { STORAGE: storage.connectionString, ROOT: root }, asShipped: true },
  )
  const { code } = await run.exited
  if (code !== 0) throw new Error(`The run ended with ${code}: ${run.stderr}`)
}
await storage.stop()

// The file of a Databricks table, in which a load had begun.
const offsets = new LandedOffsets()
offsets.set({ blob: 'logs/primary/a.ndjson', generation: '20261124T084700Z', offset: 100 })
const file = new OffsetFile({
  stateDirectory: join(root, 'state'),
  pipeline: 'staged',
  table: 'lake.logs.staged',
})
await file.write(offsets, {
  intent: {
    id: 'batch-1',
    mode: 'copy-into',
    spans: [{ blob: 'logs/primary/a.ndjson', generation: '20261124T084700Z', start: 100, end: 200 }],
    files: [{ name: 'batch-1-0.parquet', bytes: 1_000, rows: 2 }],
  },
})

for (const part of ['lakehouse', 'state']) {
  await cp(join(root, part), join(folder, part), {
    recursive: true,
    filter: (path) => !path.includes('staging'),
  })
}
await rm(root, { recursive: true })
execFileSync('find', [folder, '-type', 'f'], { stdio: 'inherit' })
