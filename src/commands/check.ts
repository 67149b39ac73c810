import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TailraceError } from '../errors.ts'
import { tableDirectory } from '../resolve-config.ts'
import { checkAppendable } from '../sinks/delta/feature-gate.ts'
import { checkSchema } from '../sinks/delta/table-schema.ts'
import { findStart } from '../sources/blob-start.ts'
import { listBlobs } from '../sources/list-blobs.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline, type LandedPipeline } from './landed-generations.ts'

/** Reaches every endpoint of the config and says what is there; the config itself is valid by now. */
export async function check(context: CommandContext): Promise<number> {
  await forEachPipeline(context, undefined, async (landed) => {
    const { name, pipeline, reader } = landed
    const { blobs } = pipeline.source
    context.print(`${name}: ${await describeTable(landed)}\n`)
    if (blobs.endsWith('/')) {
      let count = 0
      for await (const _blob of listBlobs(reader, blobs, {})) count += 1
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

/** @throws TABLE_DENIED, TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED: what a run would fail with */
async function describeTable({ pipeline, table }: LandedPipeline): Promise<string> {
  const directory = tableDirectory(pipeline)
  await requireWritable(directory)
  if (table === undefined) return `no table yet: a run creates it at ${directory}`
  checkAppendable(table.protocol, table.metaData)
  checkSchema(table.metaData, pipeline.table.columns, pipeline.table.partitionColumns)
  return `table ${directory} is at version ${table.version}`
}

/** Of a directory that does not exist, the nearest one above it has to be writable. */
async function requireWritable(directory: string): Promise<void> {
  try {
    await access(directory, constants.W_OK)
  } catch (error) {
    const parent = dirname(directory)
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== directory) {
      return requireWritable(parent)
    }
    throw new TailraceError('TABLE_DENIED', `No right to write to ${directory}.`, { cause: error })
  }
}
