import { join } from 'node:path'
import { TailraceError } from '../../errors.ts'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { type HoldShare, holdFile } from '../encoding/held-file.ts'

/**
 * Locks a pipeline's offset file for this process, until `release` or the end of the process.
 *
 * Needed where the offset file is the only record of offsets. A Delta table rejects a second process by itself, because
 * its commits compare offsets.
 *
 * @param share `shared` for processes that land by transactions, which are fenced off by the table and may run beside each
 * other, but not beside one of another mode: it would take their offsets over. A file system without locks is fine for them
 * @throws STATE_LOCKED when this or another process holds the lock, and one of both holds it alone; or when it has to be
 * held alone and the file system has no locks
 */
export async function lockState(
  stateDirectory: string,
  pipeline: string,
  share: HoldShare,
): Promise<{ readonly release: () => void }> {
  await withStateErrors(stateDirectory, () => makeDirectory(stateDirectory))
  const path = join(stateDirectory, `${pipeline}.lock`)
  let held: { readonly release: () => void } | undefined
  try {
    held = await holdFile(path, share)
  } catch (error) {
    if (share === 'shared') return { release: () => {} }
    throw new TailraceError(
      'STATE_LOCKED',
      `${path} cannot be locked: put the state directory on a file system that supports locks.`,
      { cause: error },
    )
  }
  if (held !== undefined) return held
  const otherwise = share === 'shared' ? ' in another mode,' : ''
  throw new TailraceError(
    'STATE_LOCKED',
    `Another process runs the pipeline ${pipeline}${otherwise} with the state directory ${stateDirectory}.`,
  )
}
