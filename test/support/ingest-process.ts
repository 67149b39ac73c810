/**
 * `tailrace start` that loads everything, says so, and begins when it is told: `ingest-process.ts CONFIG [hasty]`.
 *
 * A process that is to be killed at an instant of its work then does not spend most of its life loading. A hasty one
 * does not wait out pauses of more than a second.
 */
import { once } from 'node:events'
import { systemClock } from '../../src/clock.ts'
import { start } from '../../src/commands/start.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLogger } from '../../src/reporting/logger.ts'
import { standardError, standardOutput } from '../../src/reporting/terminal.ts'
import { HastyClock } from './hasty-clock.ts'

async function main(configPath: string, pace?: string): Promise<void> {
  const config = await loadConfig(configPath)
  process.stdout.write('loaded\n')
  const [message] = await once(process, 'message')
  process.disconnect()
  const errorOutput = standardError(false)
  const logger = createLogger({ level: 'info', pretty: false, output: errorOutput })
  process.exitCode = await start(
    {
      config,
      logger,
      clock: pace === 'hasty' ? new HastyClock({ shortPauseMs: 1_000 }) : systemClock,
      errorOutput,
      print: standardOutput(process.stdout),
      printRows: standardOutput(process.stdout),
      printRaw: standardOutput(process.stdout),
      terminal: { hasInput: false, hasOutput: false, hasColors: false, isAttached: false, isScript: false },
    },
    { once: message === 'once' },
  )
}

await main(process.argv[2]!, process.argv[3])
