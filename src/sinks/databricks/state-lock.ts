import { join } from 'node:path'
import { TailraceError } from '../../errors.ts'
import { makeDirectory, withStateErrors } from '../../offsets/state-files.ts'
import { holdFile } from '../encoding/held-file.ts'

/**
 * Makes this process the only one that works with a pipeline's offset file, until `release` or until it ends in
 * whatever way.
 *
 * A Delta table fences off a second process by itself. Where the offset file is the truth, the file has to be.
 *
 * @throws STATE_LOCKED when it is at work already, in this process or another one
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
      `${path} cannot be locked: the state directory has to be on a file system with locks.`,
      { cause: error },
    )
  })
  if (held !== undefined) return held
  throw new TailraceError('STATE_LOCKED', `The pipeline ${pipeline} is run already with ${stateDirectory}.`)
}
