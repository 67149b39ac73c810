import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { EmbeddedEngine } from './engine.ts'

export interface MaintenanceWorkspace {
  readonly engine: EmbeddedEngine
  /** For copies, for files under way and for what the engine spills. */
  readonly directory: string
}

/**
 * Gives a table's maintenance an engine of its own, whose memory and threads are not those of a run that lands at the
 * same time, and a directory in the pipeline's staging. Both go away with the work.
 *
 * @param staging the pipeline's staging directory; a later run removes what a crash leaves there
 */
export async function withMaintenanceWorkspace<T>(
  staging: string,
  limits: { readonly threads: number; readonly memoryMiB: number },
  work: (workspace: MaintenanceWorkspace) => Promise<T>,
): Promise<T> {
  const directory = await withStateErrors(staging, async () => {
    await makeDirectory(staging)
    return mkdtemp(join(staging, 'optimize-'))
  })
  try {
    const engine = await EmbeddedEngine.open({ ...limits, temporaryDirectory: join(directory, 'spill') })
    try {
      return await work({ engine, directory })
    } finally {
      await engine.close()
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * Gives a command an engine of its own, apart from the one of a pipeline that runs, and a directory for what it needs
 * meanwhile.
 */
export async function withEngine<T>(
  operation: (engine: EmbeddedEngine, temporaryDirectory: string) => Promise<T>,
): Promise<T> {
  const spill = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-query-')))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: spill, memoryMiB: 1024 })
  try {
    return await operation(engine, spill)
  } finally {
    await engine.close()
    await rm(spill, { recursive: true, force: true })
  }
}
