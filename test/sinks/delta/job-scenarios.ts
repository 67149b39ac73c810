import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadState } from '../../../src/sinks/delta/log/load.ts'
import { commitPath, encodeActions } from '../../../src/sinks/delta/protocol/actions.ts'
import { optimize } from './maintenance/support.ts'
import type { JobOnTable } from './stopped-jobs.ts'
import { committerOf, type Workbench } from './support.ts'
import { append, jobs } from './table-jobs.ts'

/** A job, and what is known of it beforehand. */
export interface JobScenario extends JobOnTable {
  readonly name: string
  /** The run that comes after. */
  readonly next: (bench: Workbench) => Promise<void>
  /** Changes that the job makes, among others. */
  readonly makes: readonly RegExp[]
}

/** The change that makes a commit visible. */
export const commitChange = /^(?:link|PUT blob) _delta_log\/\d+\.json$/
const dataFile = /^(?:rename|PUT \w+) event_date=2026-01-0[23]\/part-/

/** Every way in which a table is changed step by step. */
export const jobScenarios: readonly JobScenario[] = [
  {
    job: 'create',
    name: 'the creation of a table and its first append',
    next: (bench) => append(bench, 1),
    makes: [commitChange, dataFile],
  },
  {
    job: 'append',
    name: 'an append, its checkpoint and the cleanup of the log',
    prepare: prepareUpkeep,
    next: (bench) => append(bench, 3),
    makes: [
      commitChange,
      dataFile,
      /^(?:rename|PUT \w+) _delta_log\/\d+\.checkpoint\.parquet$/,
      /^(?:rename|PUT \w+) _delta_log\/_last_checkpoint$/,
      /^(?:unlink|DELETE \w+) _delta_log\/\d+\.json$/,
      /^(?:unlink|DELETE \w+) _delta_log\/\d+\.checkpoint\.parquet$/,
    ],
  },
  {
    job: 'optimize',
    name: 'an optimize of two partitions',
    isVolume: true,
    prepare: (bench) => append(bench, 4),
    next: async (bench) => {
      await optimize(bench)
      await append(bench, 5)
    },
    makes: [commitChange, dataFile],
  },
  {
    job: 'vacuum',
    name: 'a vacuum',
    prepare: async (bench) => {
      await append(bench, 3)
      await optimize(bench)
      await writeFile(join(bench.staging, 'stray'), 'PAR1')
      await bench.storage.putFile(join(bench.staging, 'stray'), 'event_date=2026-01-02/stray.parquet')
    },
    next: jobs.vacuum,
    makes: [/^(?:unlink|DELETE \w+) event_date=2026-01-02\/part-/, /stray/],
  },
  {
    job: 'archive',
    name: 'moving offsets into the archive, whose former file is merged',
    prepare: async (bench) => {
      await append(bench, 1)
      await jobs.archive(bench)
      await append(bench, 2)
    },
    next: async (bench) => {
      await jobs.archive(bench)
      await append(bench, 3)
    },
    makes: [
      commitChange,
      /^(?:rename|PUT \w+) _tailrace\/offsets\/offsets-/,
      /_tailrace\/offsets\/\*\.json$/,
      /^(?:unlink|DELETE \w+) _tailrace\/offsets\/offsets-/,
    ],
  },
]

/** A table whose every commit has a checkpoint. */
async function prepareUpkeep(bench: Workbench): Promise<void> {
  const { storage, engine } = bench
  await committerOf(bench).open()
  const { protocol, metaData } = (await loadState(storage, engine, { keepFiles: false }))!
  const configuration = { ...metaData.configuration, 'delta.checkpointInterval': '1' }
  await storage.put(
    commitPath(0),
    encodeActions([{ protocol }, { metaData: { ...metaData, configuration } }]),
  )
  await append(bench, 1)
}
