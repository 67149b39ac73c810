import { access, constants } from 'node:fs/promises'
import { tableDirectory } from '../resolve-config.ts'
import { findStart } from '../sources/blob-start.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline } from './landed-generations.ts'

/** Reaches every endpoint of the config and says what is there; the config itself is valid by now. */
export async function check(context: CommandContext): Promise<number> {
  await forEachPipeline(context, undefined, async ({ name, reader, resources }) => {
    const pipeline = context.config.pipelines[name]!
    const { blobs } = pipeline.source
    await access(tableDirectory(pipeline), constants.W_OK)
    context.print(
      `${name}: table ${resources.committer.location} is open at version ${resources.committer.tableVersion}\n`,
    )
    if (blobs.endsWith('/')) {
      let count = 0
      for await (const _blob of reader.list(blobs)) count += 1
      context.print(`${name}: ${count} blobs under ${reader.container}/${blobs}\n`)
    } else {
      const start = await findStart(reader, blobs, 'earliest')
      const found =
        start === undefined ? 'is missing or empty: a run would wait for it' : `has ${start.totalBytes} bytes`
      context.print(`${name}: blob ${reader.container}/${blobs} ${found}\n`)
    }
  })
  return 0
}
