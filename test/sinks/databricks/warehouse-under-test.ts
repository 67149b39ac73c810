import type { TestContext } from 'node:test'
import { Workspace, type WorkspaceOptions } from '../../../doubles/workspace/workspace.ts'
import { createLogger, type Logger } from '../../../src/reporting/logger.ts'
import type { RetryEvent } from '../../../src/retry.ts'
import {
  SqlWarehouse,
  type SqlWarehouseOptions,
} from '../../../src/sinks/databricks/warehouse/sql-warehouse.ts'
import type { TokenSource, WorkspaceAddress } from '../../../src/sinks/databricks/workspace/auth.ts'
import { MemoryFiles } from '../../doubles/workspace/memory-files.ts'
import { ScriptedEngine } from '../../doubles/workspace/scripted-engine.ts'
import { HurriedClock } from './hurried-clock.ts'

export interface WarehouseUnderTest {
  readonly workspace: Workspace
  readonly engine: ScriptedEngine
  readonly files: MemoryFiles
  readonly warehouse: SqlWarehouse
  readonly clock: HurriedClock
  readonly retries: RetryEvent[]
  readonly logLines: Record<string, unknown>[]
  readonly logger: Logger
}

/** A warehouse by the real driver, in a workspace on the loopback; its pauses take no time. */
export async function warehouseUnderTest(
  t: TestContext,
  options: Partial<SqlWarehouseOptions> & {
    readonly workspace?: Omit<WorkspaceOptions, 'engine' | 'volumes'>
    readonly way?: Partial<WorkspaceAddress>
    readonly tokensOf?: (workspace: Workspace) => TokenSource
  } = {},
): Promise<WarehouseUnderTest> {
  const { workspace: workspaceOptions, way, tokensOf, ...warehouseOptions } = options
  const files = new MemoryFiles()
  const engine = new ScriptedEngine(files)
  const workspace = await Workspace.start({ engine, volumes: files, ...workspaceOptions })
  const clock = new HurriedClock()
  const retries: RetryEvent[] = []
  const logLines: Record<string, unknown>[] = []
  const logger = createLogger({
    level: 'debug',
    pretty: false,
    output: { write: (line) => void logLines.push(JSON.parse(line)) },
  })
  const warehouse = new SqlWarehouse({
    address: { ...addressOf(workspace), ...way },
    tokens: tokensOf?.(workspace) ?? tokenOf(workspace),
    pipeline: 'primary',
    clock,
    logger,
    retry: { policy: { maxAttempts: 8 }, onRetry: (event) => void retries.push(event) },
    ...warehouseOptions,
  })
  t.after(async () => {
    await warehouse.close()
    await workspace.close()
  })
  return { workspace, engine, files, warehouse, clock, retries, logLines, logger }
}

/** The way to a workspace on the loopback, with its personal token. */
export function addressOf(workspace: Workspace): WorkspaceAddress {
  const { host, port, httpPath, ca, tokens } = workspace
  return { host, port, httpPath, auth: { kind: 'token', token: tokens.personal }, customCa: ca }
}

export function tokenOf(workspace: Workspace): TokenSource {
  return { token: async () => ({ value: workspace.tokens.personal, expiresAtMs: undefined }) }
}
