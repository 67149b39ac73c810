import { choosePipeline } from '../config/choose-pipelines.ts'
import { ContainerStorage } from '../run/container-storage.ts'
import { replay } from '../run/replay.ts'
import type { CommandContext } from './command.ts'

export interface ReplayCommandOptions {
  readonly pipeline: string
  readonly blob: string
  readonly from: number
  readonly to?: number | undefined
}

/** Lands a range again, and prints the result as one line of JSON. */
export async function replayCommand(context: CommandContext, options: ReplayCommandOptions): Promise<number> {
  const { config, clock, logger, print } = context
  const { source } = choosePipeline(config, options.pipeline)
  const storage = new ContainerStorage(config.stateDirectory, false, clock, logger)
  try {
    const reader = await storage.reader(source)
    const receipt = await replay({ ...options, config, reader, clock, logger })
    logger.info(receipt, 'replayed')
    await print(`${JSON.stringify(receipt)}\n`)
    return 0
  } finally {
    await storage.stop()
  }
}
