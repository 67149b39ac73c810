import type { StatementParameter } from './warehouse-engine.ts'

export type StatementState = 'RUNNING' | 'FINISHED' | 'ERROR' | 'CANCELED' | 'CLOSED' | 'TIMEDOUT'

export interface LoggedStatement {
  readonly sessionId: string
  readonly text: string
  readonly parameters: readonly StatementParameter[]
  /** As the driver writes them, such as `pipeline:logs,batch:7`: the session's, or the statement's own. */
  readonly queryTags: string | undefined
  state: StatementState
  /** Whether the engine executed it to its end, independent of the reply. */
  wasExecuted: boolean
}

export interface LoggedUpload {
  readonly by: 'presigned-url' | 'files-api'
  readonly volumePath: string
  readonly bytes: number
}

/** The requests and errors of a workspace, for assertions in tests. */
export class WorkspaceLog {
  /** Every HTTP request, such as `POST /oidc/v1/token`, without its query. */
  readonly requests: string[] = []
  /** The RPCs' names, as they came. */
  readonly rpcs: string[] = []
  readonly sessions: { readonly id: string; readonly configuration: Readonly<Record<string, string>> }[] = []
  /** The statements sent to the engine, including those that a fault held or failed. */
  readonly statements: LoggedStatement[] = []
  /** The whole files that were stored. */
  readonly uploads: LoggedUpload[] = []
  /** The requests that Zerobus has acknowledged. */
  readonly insertions: { readonly table: string; readonly records: number; readonly bytes: number }[] = []
  /** Errors of the workspace or the engine that no client caused. Empty after a passing test. */
  readonly failures: unknown[] = []

  /** How often this RPC was called. */
  count(rpc: string): number {
    return this.rpcs.filter((each) => each === rpc).length
  }

  get uploadedBytes(): number {
    return this.uploads.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}
