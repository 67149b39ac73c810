/**
 * `tailrace start` that loads everything, says so, and begins when it is told: `ingest-process.ts CONFIG`.
 *
 * A process that is to be killed at an instant of its work then does not spend most of its life loading.
 */
import { once } from 'node:events'
import { systemClock } from '../../src/clock.ts'
import { start } from '../../src/commands/start.ts'
import { loadConfig } from '../../src/load-config.ts'
import { createLogger } from '../../src/logger.ts'
import { standardError } from '../../src/terminal.ts'

async function main(configPath: string): Promise<void> {
  const config = await loadConfig(configPath)
  process.stdout.write('loaded\n')
  await once(process, 'message')
  process.disconnect()
  const errorOutput = standardError(false)
  const logger = createLogger({ level: 'info', pretty: false, output: errorOutput })
  process.exitCode = await start(
    { config, logger, clock: systemClock, errorOutput, print: (text) => void process.stdout.write(text) },
    { once: false },
  )
}

await main(process.argv[2]!)
