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

/** An engine for a command, and a directory for its files. */
export interface CommandEngine {
  readonly engine: EmbeddedEngine
  readonly temporaryDirectory: string
  /** Removes the directory too. */
  close(): Promise<void>
}

/** Opens an engine for a command, apart from the one of a pipeline that runs. */
export async function openCommandEngine(): Promise<CommandEngine> {
  const temporaryDirectory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-query-')))
  const engine = await EmbeddedEngine.open({ temporaryDirectory, memoryMiB: 1024 })
  return {
    engine,
    temporaryDirectory,
    close: async () => {
      await engine.close()
      await rm(temporaryDirectory, { recursive: true, force: true })
    },
  }
}

/** Runs a command's work with an engine of its own. */
export async function withEngine<T>(
  work: (engine: EmbeddedEngine, temporaryDirectory: string) => Promise<T>,
): Promise<T> {
  const { engine, temporaryDirectory, close } = await openCommandEngine()
  try {
    return await work(engine, temporaryDirectory)
  } finally {
    await close()
  }
}
