import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import type { PipelineConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { openResources } from '../../src/run/resources.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { containerName, startStorage, type TestStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A pipeline of a test: what is left out has a default. */
export interface TestPipeline {
  /** Default `test.logs.` and the pipeline's name. */
  readonly table?: string
  /** Below the test's directory. Default `lakehouse`. */
  readonly root?: string
  /** Default the pipeline's name. */
  readonly blob?: string
  readonly coldStart?: 'earliest' | 'latest'
  readonly transforms?: PipelineConfig['transforms']
}

/** Where commands run in this process, against an emulated storage and real tables. */
export interface Bench {
  readonly storage: TestStorage
  readonly directory: string
  config(pipelines: Readonly<Record<string, TestPipeline>>): ResolvedConfig
}

/** @param directory where the tables and the state are; default: a new one */
export async function openBench(t: Pick<TestContext, 'after'>, directory?: string): Promise<Bench> {
  const storage = await startStorage(t)
  const root = directory ?? (await temporaryDirectory(t))
  const resolved = (name: string, given: TestPipeline): PipelineConfig => ({
    source: {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      container: containerName,
      blobs: given.blob ?? name,
      coldStart: given.coldStart ?? 'earliest',
      pollMs: 100,
    },
    transforms: given.transforms ?? [],
    table: postgresLogs(given.table ?? `test.logs.${name}`),
    sink: { kind: 'delta', root: given.root ?? 'lakehouse' },
  })
  return {
    storage,
    directory: root,
    config: (pipelines) =>
      resolveConfig(
        {
          pipelines: Object.fromEntries(
            Object.entries(pipelines).map(([name, given]) => [name, resolved(name, given)]),
          ),
          stateDirectory: join(root, 'state'),
          disk: { minFreeBytes: 0 },
        },
        root,
      ),
  }
}

/** Lines as bytes, numbered from `from` on. */
export function lines(from: number, count: number): Buffer {
  return linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))
}

/** Lands every blob up to its end. */
export async function landAll(config: ResolvedConfig): Promise<void> {
  const run = await Tailrace.open({ config, follow: false, clock: systemClock, logger: silentLogger })
  await run.run()
}

/** Moves a blob's offset without landing a row. */
export async function commitOffset(
  { storage }: Bench,
  config: ResolvedConfig,
  name: string,
  blob: string,
  offset: number,
): Promise<void> {
  const resources = await openResources({
    name,
    config: config.pipelines[name]!,
    shared: config,
    removeLeftovers: false,
    clock: systemClock,
    logger: silentLogger,
  })
  const { createdOn } = await storage.container.getBlobClient(blob).getProperties()
  const generation = createdOn!.toISOString().replace(/[-:]|\.\d+/g, '')
  const span = { blob: `${containerName}/${blob}`, generation, start: 0, end: offset }
  await resources.committer.land([span], { files: [], rows: 0, rejected: 0, partial: 0 })
  await resources.close()
}

/** What a command printed, and its exit code. */
export async function outputOf(
  config: ResolvedConfig,
  command: (context: CommandContext) => Promise<number>,
): Promise<{ readonly code: number; readonly text: string }> {
  let text = ''
  const print = async (more: string): Promise<boolean> => {
    text += more
    return true
  }
  const code = await command({
    config,
    logger: silentLogger,
    clock: systemClock,
    errorOutput: { write: () => {}, status: () => {} },
    print,
    printRows: print,
    printRaw: print,
    terminal: { hasInput: false, hasOutput: false, hasColors: false, isAttached: false, isScript: false },
  })
  return { code, text }
}
