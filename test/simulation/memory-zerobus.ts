import type { Clock } from '../../src/clock.ts'
import type { WorkspaceAnswer } from '../../src/sinks/databricks/workspace/http.ts'
import { ZerobusClient } from '../../src/sinks/databricks/zerobus/zerobus-client.ts'
import type { TableName } from '../../src/tables/table.ts'
import type { Life } from './machine.ts'
import { type WorkspaceRule, workspaceUnavailable } from './memory-workspace.ts'
import { rowOfColumns, type SimulatedRow } from './row-encoder.ts'

/** Rows show in the table up to so long after their acknowledgement: "30 s" is the longest that its pages name. */
const maxHiddenMs = 30_000

export interface MemoryZerobusOptions {
  /** Receives the rows of a request, when they show in the table. */
  readonly add: (rows: readonly SimulatedRow[]) => void
  /** Draws a duration in milliseconds. */
  readonly between: (minMs: number, maxMs: number) => number
  /** Of rows that show after their process has ended. */
  readonly clock: Clock
}

/** Zerobus Ingest in memory: a request adds its rows whenever it arrives, however often. */
export class MemoryZerobus {
  readonly #options: MemoryZerobusOptions

  constructor(options: MemoryZerobusOptions) {
    this.#options = options
  }

  /** @returns the service as one process reaches it */
  reachedBy(life: Life, rule: WorkspaceRule, table: TableName): ZerobusClient {
    return new ZerobusClient({
      table,
      http: {
        request: async ({ body }) => {
          const { unanswered, ...verdict } = rule(life, 'send rows', 'statement')
          return life.call(verdict, () => this.#answer(String(body), unanswered))
        },
      },
      tokens: { token: async () => ({ value: 'a token', expiresAtMs: undefined }) },
      grants: [],
      clock: life.clock,
    })
  }

  #answer(body: string, unanswered: ReturnType<WorkspaceRule>['unanswered']): WorkspaceAnswer {
    if (unanswered !== 'never') this.#show(body, typeof unanswered === 'object' ? unanswered.afterMs : 0)
    if (unanswered !== undefined) throw workspaceUnavailable()
    return { status: 200, headers: {}, body: '{}' }
  }

  #show(body: string, arrivesAfterMs: number): void {
    const { add, between, clock } = this.#options
    const rows = (JSON.parse(body) as Record<string, unknown>[]).map(rowOfColumns)
    clock.after(arrivesAfterMs + between(0, maxHiddenMs), () => add(rows))
  }
}
