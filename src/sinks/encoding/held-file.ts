import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { DuckDBInstance } from '@duckdb/node-api'
import { createInstance } from './engine-api.ts'

/** `alone`: nobody else holds the file. `shared`: others may hold it in the same way. */
export type HoldShare = 'alone' | 'shared'

interface Hold {
  readonly share: HoldShare
  readonly opening: Promise<DuckDBInstance>
  holders: number
}

// File locks belong to the process: locking a file again in the same process succeeds, and the first release ends both.
const holds = new Map<string, Hold>()

/** Attempts of a shared hold, because another process may be about to create the file. */
const maxAttempts = 5
const attemptPauseMs = 100

/**
 * Locks a file, by opening it as a database: DuckDB takes a lock of the operating system, which ends with the process in
 * any case. A database that is opened for reading only has a lock that it shares with others of the kind.
 *
 * @returns undefined when this or another process holds the lock, and one of both holds it alone
 * @throws the engine's error for a file that cannot be locked
 */
export async function holdFile(
  path: string,
  share: HoldShare,
): Promise<{ readonly release: () => void } | undefined> {
  const place = resolve(path)
  const held = holds.get(place)
  if (held !== undefined && (share === 'alone' || held.share === 'alone')) return undefined
  const hold = held ?? {
    share,
    opening: share === 'alone' ? openAlone(place) : openShared(place),
    holders: 0,
  }
  hold.holders += 1
  holds.set(place, hold)
  const leave = (instance?: DuckDBInstance): void => {
    hold.holders -= 1
    if (hold.holders > 0) return
    instance?.closeSync()
    holds.delete(place)
  }
  try {
    const instance = await hold.opening
    return { release: () => leave(instance) }
  } catch (error) {
    leave()
    if (isHeldElsewhere(error)) return undefined
    throw error
  }
}

async function openAlone(path: string): Promise<DuckDBInstance> {
  try {
    return await createInstance(path, { threads: '1' })
  } catch (error) {
    // The file is locked, or its place cannot be used: do not remove it.
    if (/set lock on|locks are not supported|cannot open file/i.test(String(error))) throw error
    // A process that was killed while it created the file left it incomplete; it holds no data.
    await rm(path, { force: true })
    return createInstance(path, { threads: '1' })
  }
}

async function openShared(path: string): Promise<DuckDBInstance> {
  const open = (): Promise<DuckDBInstance> => createInstance(path, { threads: '1', access_mode: 'READ_ONLY' })
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await open().catch(async (error: unknown) => {
        if (isHeldElsewhere(error)) throw error
        // The file is missing or incomplete.
        const created = await openAlone(path)
        created.closeSync()
        return open()
      })
    } catch (error) {
      if (attempt === maxAttempts || !isHeldElsewhere(error)) throw error
      await setTimeout(attemptPauseMs)
    }
  }
}

function isHeldElsewhere(error: unknown): boolean {
  return /conflicting lock/i.test(String(error))
}
