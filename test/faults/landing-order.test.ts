import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../src/reporting/logger.ts'
import { type FileCall, watchFileCalls } from '../support/faults/file-calls.ts'
import {
  landingWorld,
  landWorld,
  stateDirectoryOf,
  tableDirectoryOf,
} from '../support/faults/landing-world.ts'
import { watchStatements } from '../support/faults/statement-calls.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** What happens to a batch: nothing of a phase before all of the one above it. A batch may have several files. */
const order: readonly (readonly string[])[] = [
  ['encode'],
  ['sync data file', 'place data file', 'sync data folder'],
  ['sync commit'],
  ['commit'],
  ['sync log folder'],
  ['sync offset file'],
  ['place offset file'],
  ['sync state folder'],
  ['remove spool'],
]

test('each batch is encoded, synced, committed, synced, mirrored, and only then removed from staging', async (t) => {
  const world = landingWorld(join(await temporaryDirectory(t), 'world'), 3)
  await mkdir(world.directory)
  const [table, state] = [tableDirectoryOf(world), stateDirectoryOf(world)]
  const steps: string[] = []
  const step = ({ name, path }: FileCall): string | undefined => {
    const inTable = path.startsWith(`${table}/`)
    const inLog = path.startsWith(`${table}/_delta_log`)
    switch (name) {
      case 'file.sync':
        if (path.endsWith('.parquet')) return 'sync data file'
        if (path === `${table}/_delta_log`) return 'sync log folder'
        if (inLog) return 'sync commit'
        if (inTable) return 'sync data folder'
        if (path === state) return 'sync state folder'
        return path.startsWith(`${state}/primary.offset.json`) ? 'sync offset file' : undefined
      case 'rename':
        if (inTable && !inLog) return 'place data file'
        return path === join(state, 'primary.offset.json') ? 'place offset file' : undefined
      case 'link':
        return /^\d{20}\.json$/.test(basename(path)) ? 'commit' : undefined
      case 'rm':
        return path.endsWith('.spool') ? 'remove spool' : undefined
      default:
        return undefined
    }
  }
  await watchFileCalls(t, { after: (call) => void steps.push(...[step(call) ?? []].flat()) })
  watchStatements(t, (sql) => {
    if (/^COPY/.test(sql) && sql.includes('.spool')) steps.push('encode')
  })
  await landWorld(world, { logger: silentLogger })

  const batches = steps
    .slice(steps.indexOf('encode'))
    .join()
    .split(/(?<=remove spool),/)
  assert.ok(batches.length >= 2, steps.join())
  for (const batch of batches) {
    const phases = batch.split(',').map((one) => order.findIndex((phase) => phase.includes(one)))
    assert.deepEqual(
      phases,
      phases.toSorted((left, right) => left - right),
      batch,
    )
    assert.deepEqual([...new Set(phases)], [...order.keys()], batch)
  }
})
