import type { WrittenFile } from '../../encoding/engine.ts'
import type { BatchFiles, StagedBatch } from '../staging/batch-files.ts'
import { isMissingStagedFile } from './copy-into.ts'

export interface StagedAttempts {
  readonly maxAttempts: number
  /** @returns whether the cause of an error is mended, so that another attempt may succeed */
  readonly mend: (error: unknown) => boolean | Promise<boolean>
}

/**
 * Stages the files of a batch and runs `work`; again when the files are gone, or when the cause of the failure is mended.
 *
 * @param written the same array for each attempt to land the batch
 */
export async function withStagedFiles<Result>(
  files: BatchFiles,
  written: readonly WrittenFile[],
  work: (batch: StagedBatch) => Promise<Result>,
  { maxAttempts, mend }: StagedAttempts,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(await files.stage(written))
    } catch (error) {
      if (attempt >= maxAttempts) throw error
      if (isMissingStagedFile(error)) files.forget()
      else if (!(await mend(error))) throw error
    }
  }
}
