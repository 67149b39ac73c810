import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

// File locks belong to the process: locking a file again in the same process succeeds, and the first release ends both.
const heldPaths = new Set<string>()

/**
 * Locks a file exclusively, by opening it as a database: DuckDB takes a lock of the operating system, which ends with the
 * process in any case.
 *
 * @returns undefined when this or another process holds the lock
 * @throws the engine's error for a file that cannot be locked
 */
export async function holdFile(path: string): Promise<{ readonly release: () => void } | undefined> {
  const place = resolve(path)
  if (heldPaths.has(place)) return undefined
  heldPaths.add(place)
  try {
    const instance = await openHeld(place)
    return {
      release: () => {
        instance.closeSync()
        heldPaths.delete(place)
      },
    }
  } catch (error) {
    heldPaths.delete(place)
    if (isHeldElsewhere(error)) return undefined
    throw error
  }
}

async function openHeld(path: string): Promise<DuckDBInstance> {
  try {
    return await DuckDBInstance.create(path, { threads: '1' })
  } catch (error) {
    // The file is locked, or its place cannot be used: do not remove it.
    if (/set lock on|locks are not supported|cannot open file/i.test(String(error))) throw error
    // A process that was killed while it created the file left it incomplete; it holds no data.
    await rm(path, { force: true })
    return DuckDBInstance.create(path, { threads: '1' })
  }
}

function isHeldElsewhere(error: unknown): boolean {
  return /conflicting lock/i.test(String(error))
}
