import { archive } from './archive/support.ts'
import { daysLater, optimize, vacuum } from './maintenance/support.ts'
import { committerOf, encode, span, type Workbench } from './support.ts'

const blob = 'logs/pg'
const rowsPerBatch = 4
const batchBytes = rowsPerBatch * 10

/** By then every commit before a checkpoint has expired: each checkpoint is followed by a cleanup of the log. */
const clock = daysLater(40)

/**
 * Lands the batches that the table lacks, each in a run of its own that ends when what is due after its commit is
 * done. A batch is one file, of the one or the other of two days by turns.
 *
 * @param batches how many the table has in the end
 */
export async function append(bench: Workbench, batches: number): Promise<void> {
  for (let landed = 0; landed < batches; landed += 1) {
    const committer = committerOf(bench, { clock })
    await committer.open()
    await committer.archive.recall([blob])
    landed = ([...committer.landed()][0]?.offset ?? 0) / batchBytes
    if (landed < batches) {
      const source = span(blob, landed * batchBytes, (landed + 1) * batchBytes)
      const rows = Array.from({ length: rowsPerBatch }, (_, index) => ({
        offset: source.start + index * 10,
        seed: 1 + (landed % 2) + 33 * (landed * rowsPerBatch + index),
      }))
      await committer.land([source], await encode(bench, source, rows))
    }
    await committer.close()
  }
}

/** What a process does with a table of a batch or two. */
export const jobs = {
  create: (bench: Workbench) => append(bench, 1),
  append: (bench: Workbench) => append(bench, 2),
  optimize: async (bench: Workbench) => void (await optimize(bench)),
  vacuum: async (bench: Workbench) => void (await vacuum(bench)),
  archive: async (bench: Workbench) => void (await archive(bench, { clock: daysLater(41) })),
} as const

export type Job = keyof typeof jobs
