import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedEngine } from '../sinks/duckdb.ts'
import { withStateErrors } from '../state-files.ts'

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
