import { join } from 'node:path'
import { TailraceError } from '../../errors.ts'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { holdFile } from '../encoding/held-file.ts'

/**
 * Locks a pipeline's offset file for this process, until `release` or the end of the process.
 *
 * Needed where the offset file is the only record of offsets. A Delta table rejects a second process by itself, because
 * its commits compare offsets.
 *
 * @throws STATE_LOCKED when this or another process holds the lock, or the file system has no locks
 */
export async function lockState(
  stateDirectory: string,
  pipeline: string,
): Promise<{ readonly release: () => void }> {
  await withStateErrors(stateDirectory, () => makeDirectory(stateDirectory))
  const path = join(stateDirectory, `${pipeline}.lock`)
  const held = await holdFile(path).catch((error: unknown) => {
    throw new TailraceError(
      'STATE_LOCKED',
      `${path} cannot be locked: put the state directory on a file system that supports locks.`,
      { cause: error },
    )
  })
  if (held !== undefined) return held
  throw new TailraceError(
    'STATE_LOCKED',
    `Another process runs the pipeline ${pipeline} with the state directory ${stateDirectory}.`,
  )
}
