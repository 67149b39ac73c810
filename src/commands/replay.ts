import { type ReplayRange, replayRange } from '../run/operations.ts'
import type { CommandContext } from './command.ts'

/** Lands a range again, and prints the result as one line of JSON. */
export async function replayCommand(context: CommandContext, range: ReplayRange): Promise<number> {
  const { config, logger, print } = context
  const receipt = await replayRange(config, range, context)
  logger.info(receipt, 'replayed')
  await print(`${JSON.stringify(receipt)}\n`)
  return 0
}
