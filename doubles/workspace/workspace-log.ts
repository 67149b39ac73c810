import type { StatementParameter } from './warehouse-engine.ts'

export type StatementState = 'RUNNING' | 'FINISHED' | 'ERROR' | 'CANCELED' | 'CLOSED' | 'TIMEDOUT'

export interface LoggedStatement {
  readonly sessionId: string
  readonly text: string
  readonly parameters: readonly StatementParameter[]
  /** As the driver writes them, such as `pipeline:logs,batch:7`: the session's, or the statement's own. */
  readonly queryTags: string | undefined
  state: StatementState
  /** Whether the engine executed it to its end, whatever the client was told. */
  wasExecuted: boolean
}

export interface LoggedUpload {
  readonly by: 'presigned-url' | 'files-api'
  readonly volumePath: string
  readonly bytes: number
}

/** What came in, for tests to look at. */
export class WorkspaceLog {
  /** Every HTTP request, such as `POST /oidc/v1/token`, without its query. */
  readonly requests: string[] = []
  /** The RPCs' names, as they came. */
  readonly rpcs: string[] = []
  readonly sessions: { readonly id: string; readonly configuration: Readonly<Record<string, string>> }[] = []
  /** What the engine was asked to do, or would have been without a fault that held or failed it. */
  readonly statements: LoggedStatement[] = []
  /** The whole files that were stored. */
  readonly uploads: LoggedUpload[] = []
  /** What the workspace or the engine threw and no client caused: a test that passes leaves none. */
  readonly failures: unknown[] = []

  /** How often this RPC was called. */
  count(rpc: string): number {
    return this.rpcs.filter((each) => each === rpc).length
  }

  get uploadedBytes(): number {
    return this.uploads.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}
