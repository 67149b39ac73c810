import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { EmbeddedEngine } from './engine.ts'

export interface MaintenanceWorkspace {
  readonly engine: EmbeddedEngine
  /** For copies of files, new files, and files that the engine spills. */
  readonly directory: string
}

/**
 * Runs maintenance of a table with its own engine, apart from the memory and threads of a concurrent run, and with a
 * directory in the pipeline's staging directory. Closes and removes both afterwards.
 *
 * @param staging the pipeline's staging directory; after a crash, a later run removes the leftovers
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

/** Opens an engine and a temporary directory for a command, apart from those of a running pipeline. */
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

/** Runs a command's work with its own engine and temporary directory, and closes both afterwards. */
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
