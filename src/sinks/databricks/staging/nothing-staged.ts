import { TailraceError } from '../../../errors.ts'
import type { VolumeStaging } from './volume-staging.ts'

/**
 * Checks that a pipeline begins, where nothing but the offset file knows what was staged. Its folder has a folder for each
 * day on which files were staged, also when a reader has removed the files.
 *
 * @throws LOAD_UNCLEAR when an earlier run has staged files, so that they would be staged again
 */
export async function requireNothingStaged(staging: VolumeStaging): Promise<void> {
  const { folders } = await staging.list('')
  if (folders.every((day) => Number.isNaN(Date.parse(day)))) return
  throw new TailraceError(
    'LOAD_UNCLEAR',
    `There is no offset file, and files were staged in ${staging.folder} before, so that their rows would be there twice: restore the file. To stage everything again, empty the table and remove the folder.`,
  )
}
