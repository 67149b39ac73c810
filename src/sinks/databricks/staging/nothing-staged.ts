import { TailraceError } from '../../../errors.ts'
import { isDay } from './staged-files.ts'
import type { VolumeStaging } from './volume-staging.ts'

/**
 * Checks that no earlier run of the pipeline has staged files. Without the offset file, only the volume shows it: the
 * pipeline's folder has a folder for each day on which files were staged, also after a reader has removed the files.
 *
 * @throws LOAD_UNCLEAR when an earlier run has staged files, so that they would be staged again
 */
export async function requireNothingStaged(staging: VolumeStaging): Promise<void> {
  const { folders } = await staging.list('')
  if (!folders.some(isDay)) return
  throw new TailraceError(
    'LOAD_UNCLEAR',
    `There is no offset file, and files were staged in ${staging.folder} before, so that their rows would be there twice: restore the file. To stage everything again, empty the table and remove the folder.`,
  )
}
