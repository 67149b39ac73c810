import { choosePipeline, choosePipelines, unsupportedError } from '../config/choose-pipelines.ts'
import { intendedRows, type LoadIntent } from '../offsets/load-intent.ts'
import { OffsetFile } from '../offsets/offset-file.ts'
import { printTable } from '../reporting/row-printer.ts'
import { withResources } from '../run/resources.ts'
import type { CommandContext } from './command.ts'
import { exitCodes } from './exit-code.ts'

export interface ShowIntentsOptions {
  readonly pipeline?: string | undefined
  readonly json?: boolean | undefined
}

/** A load that has begun and not ended, as the offset file has it. */
interface ShownIntent {
  readonly pipeline: string
  /** `under way`: a run is at it, or the next start settles it. `unclear`: no start could, and its blobs are not read. */
  readonly state: 'under way' | 'unclear'
  readonly intent: LoadIntent
}

/**
 * Prints the loads that have begun and not ended. Reads offset files only.
 *
 * @returns the exit code
 * @throws OFFSET_FILE_CORRUPT
 */
export async function showIntents(context: CommandContext, options: ShowIntentsOptions): Promise<number> {
  const { config, print } = context
  const shown: ShownIntent[] = []
  for (const [name, pipeline] of choosePipelines(config, options.pipeline)) {
    const table = pipeline.sinkKind.offsetsTable(pipeline)
    const { stateDirectory } = config
    const file = await new OffsetFile({ stateDirectory, pipeline: name, table }).read()
    for (const intent of file?.unsettled ?? []) shown.push({ pipeline: name, state: 'unclear', intent })
    if (file?.intent !== undefined) shown.push({ pipeline: name, state: 'under way', intent: file.intent })
  }
  if (options.json === true) {
    const list = shown.map(({ pipeline, state, intent }) => ({ pipeline, state, ...intent }))
    await print(`${JSON.stringify({ intents: list })}\n`)
    return exitCodes.done
  }
  await printTable(
    print,
    ['pipeline', 'batch', 'state', 'mode', 'work', 'blob', 'from', 'to', 'rows of the batch'],
    shown.flatMap(({ pipeline, state, intent }) =>
      intent.spans.map(({ blob, start, end }) => [
        pipeline,
        intent.id,
        state,
        intent.mode,
        intent.replaces === undefined ? 'landing' : 'replay',
        blob,
        start,
        end,
        intendedRows(intent),
      ]),
    ),
  )
  return exitCodes.done
}

export interface DiscardIntentOptions {
  readonly pipeline: string
  /** The id of the load's batch. Default: the only one. */
  readonly batch?: string | undefined
  /** Remove the rows of its ranges where they are not those of the load, each once. */
  readonly removeRows?: boolean | undefined
}

/**
 * Gives up a load that no start could settle, and prints the result as one line of JSON. Opening the pipeline first tries
 * to settle it once more.
 *
 * @returns the exit code
 * @throws USAGE, LOAD_UNCLEAR, STATE_LOCKED
 */
export async function discardIntent(context: CommandContext, options: DiscardIntentOptions): Promise<number> {
  const { config, clock, logger, print } = context
  const { pipeline: name, batch, removeRows = false } = options
  const pipeline = choosePipeline(config, name)
  return withResources({ name, config: pipeline, shared: config, clock, logger }, async ({ committer }) => {
    if (committer.discardLoad === undefined)
      throw unsupportedError([name], { because: 'holds its offsets itself, so no load of it is unclear' })
    const discarded = await committer.discardLoad(batch, { removesRows: removeRows })
    await print(`${JSON.stringify({ pipeline: name, ...discarded })}\n`)
    return exitCodes.done
  })
}
