import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { blobOf, type KillTarget, pipelines } from './kill-loop.ts'
import { startStorage } from './storage.ts'
import { readTable } from './table-rows.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { writeProject } from './test-project.ts'

/** Delta tables on disk. The commit comes up most often: it is where rows and offsets could come apart. */
export async function deltaKillTarget(t: Pick<TestContext, 'after'>): Promise<KillTarget> {
  const storage = await startStorage(t)
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: Object.fromEntries(pipelines.map((pipeline) => [pipeline, { blobs: blobOf(pipeline) }])),
    batch: { maxBytes: 64 * 1024, maxAgeMs: 50 },
  })
  return {
    storage,
    project,
    args: [project.configPath],
    steps: ['spool', 'encode', 'commit', 'commit', 'commit', 'mirror'],
    // A step's own work takes a few milliseconds.
    afterStepMs: 10,
    shownIn: (pipeline, step) => {
      const directory = project.stagingDirectory(pipeline)
      if (step === 'spool') return { directory, shows: (name) => name.endsWith('.spool') }
      if (step === 'encode') return { directory, shows: (name) => name.startsWith('encode-') }
      if (step === 'mirror') {
        return {
          directory: project.stateDirectory,
          shows: (name) => name.startsWith(`${pipeline}.offset`),
        }
      }
      return {
        directory: join(project.tableDirectory(pipeline), '_delta_log'),
        shows: (name) => name.endsWith('.json'),
      }
    },
    isBetween: ({ finding }) => finding === 'behind',
    settled: async () => {},
    rows: (pipeline) => readTable(project.tableDirectory(pipeline)),
  }
}
