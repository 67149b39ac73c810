import type { TestContext } from 'node:test'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { rowsIn } from '../databricks/landed-lines.ts'
import { catalog, openWorkspaceBench, schema } from '../databricks/workspace-bench.ts'
import { eventually } from './eventually.ts'
import { blobOf, type KillTarget, pipelines } from './kill-loop.ts'
import { writeProject } from './test-project.ts'

/** Tables of a workspace, which goes on with what a killed process had asked for. */
export async function warehouseKillTarget(
  t: Pick<TestContext, 'after'>,
  mode: Pick<DatabricksSinkConfig, 'mode' | 'upload'>,
): Promise<KillTarget> {
  const bench = await openWorkspaceBench(t, { directResultsWaitMs: 5_000 })
  const { storage, workspace, warehouse, volumes, directory } = bench
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: Object.fromEntries(
      pipelines.map((pipeline) => [pipeline, { blobs: blobOf(pipeline), maxPollMs: 500 }]),
    ),
    batch: { maxBytes: 64 * 1024, maxAgeMs: 50 },
    sink: bench.sink(mode),
    schema: `${catalog}.${schema}`,
  })
  const usesFiles = mode.mode !== 'merge' && mode.mode !== 'zerobus'
  const once = mode.mode === 'zerobus' ? '_once' : ''
  return {
    storage,
    project,
    // It does not wait out the pauses while a load of the process before is still going on.
    args: [project.configPath, 'hasty'],
    steps: ['spool', 'encode', 'offsets', 'offsets', 'offsets', ...(usesFiles ? ['upload', 'upload'] : [])],
    // After the upload or the intent come the statements.
    afterStepMs: 40,
    shownIn: (pipeline, step) => {
      const directory = project.stagingDirectory(pipeline)
      if (step === 'spool') return { directory, shows: (name) => name.endsWith('.spool') }
      if (step === 'encode') return { directory, shows: (name) => name.startsWith('encode-') }
      if (step === 'offsets') {
        return {
          directory: project.stateDirectory,
          shows: (name) => name.startsWith(`${pipeline}.offset`),
        }
      }
      // Of either pipeline: a file that has come in whole, and goes to its place.
      return { directory: volumes.root, shows: (name) => name.startsWith('incoming-') }
    },
    isBetween: ({ msg }) => msg === 'a batch of an earlier run is loaded',
    settled: async () => {
      await eventually(
        async () => workspace.log.statements.every(({ state }) => state !== 'RUNNING'),
        'end of all statements',
      )
      await workspace.zerobusSettled()
    },
    rows: async (pipeline) => {
      await workspace.zerobusSettled()
      return rowsIn(warehouse, `"${catalog}"."${schema}"."${pipeline}${once}"`)
    },
  }
}
