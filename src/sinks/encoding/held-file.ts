import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

// The operating system's locks are of the process: a second one of the same file succeeds, and ends with the first.
const heldPaths = new Set<string>()

/**
 * Holds a file so that nobody else can: the engine locks the database that it makes of it by the operating system's
 * means, so the hold ends with the process, however that ends.
 *
 * @returns undefined when the file is held, by this process or another one
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
    // Somebody else's, or in a place that cannot be used: then it is not ours to remove.
    if (/set lock on|locks are not supported|cannot open file/i.test(String(error))) throw error
    // A process that was killed while it made the file leaves a part of it; there is nothing in it to keep.
    await rm(path, { force: true })
    return DuckDBInstance.create(path, { threads: '1' })
  }
}

function isHeldElsewhere(error: unknown): boolean {
  return /conflicting lock/i.test(String(error))
}
