import type {
  TCancelOperationReq,
  TCloseOperationReq,
  TCloseSessionReq,
  TExecuteStatementReq,
  TFetchResultsReq,
  TGetOperationStatusReq,
  TGetResultSetMetadataReq,
  TOpenSessionReq,
  TOperationHandle,
  TSessionHandle,
  TSparkParameter,
} from '@databricks/sql/thrift/TCLIService_types.js'
import types from '@databricks/sql/thrift/TCLIService_types.js'
import type { Clock } from '../../src/clock.ts'
import { directResults } from './direct-results.ts'
import { errorReply } from './error-reply.ts'
import { type FaultPlan, type FaultRule, type ScheduledFault, stopStruck } from './faults.ts'
import { handleId, handleIdentifier } from './handle-identifier.ts'
import {
  fetchedRows,
  operationStatus,
  type PresignUrl,
  resultMetadata,
  success,
} from './operation-replies.ts'
import { DroppedConnection, HttpRefusal, InvalidHandle } from './refusals.ts'
import { StatementOperation } from './statement-operation.ts'
import { calledRpc, callThrift, type RpcHandler } from './thrift-call.ts'
import { SqlFailure, type StatementParameter, type WarehouseEngine } from './warehouse-engine.ts'
import { WarehouseSession } from './warehouse-session.ts'
import type { LoggedStatement, WorkspaceLog } from './workspace-log.ts'

const mostParameters = 256

export interface CliServiceOptions {
  readonly engine: WarehouseEngine
  readonly clock: Clock
  readonly faults: FaultPlan
  readonly log: WorkspaceLog
  readonly presign: PresignUrl
  /** How long ExecuteStatement waits for the statement's end, to put its result into the reply; 0 for not at all. */
  readonly directResultsWaitMs: number
}

/** The warehouse's Thrift service: sessions, and statements that run while their client asks how they do. */
export class CliService {
  readonly #options: CliServiceOptions
  readonly #sessions = new Map<string, WarehouseSession>()
  readonly #handlers: Readonly<Record<string, (request: never, struck?: ScheduledFault) => Promise<object>>> =
    {
      OpenSession: (request: TOpenSessionReq) => this.#openSession(request),
      CloseSession: (request: TCloseSessionReq) => this.#closeSession(request),
      ExecuteStatement: (request: TExecuteStatementReq, struck) => this.#executeStatement(request, struck),
      GetOperationStatus: async ({ operationHandle }: TGetOperationStatusReq) => {
        const { operation } = this.#find(operationHandle)
        return operationStatus(operation, operation.poll())
      },
      GetResultSetMetadata: async ({ operationHandle }: TGetResultSetMetadataReq) =>
        resultMetadata(this.#find(operationHandle).operation),
      FetchResults: async ({ operationHandle, maxRows }: TFetchResultsReq) =>
        fetchedRows(this.#find(operationHandle).operation, maxRows.toNumber(), this.#options.presign),
      CloseOperation: async ({ operationHandle }: TCloseOperationReq) => {
        const { session, operation } = this.#find(operationHandle)
        operation.stop('CLOSED')
        session.operations.delete(operation.id)
        return new types.TCloseOperationResp({ status: success })
      },
      CancelOperation: async ({ operationHandle }: TCancelOperationReq) => {
        this.#find(operationHandle).operation.stop('CANCELED')
        return new types.TCancelOperationResp({ status: success })
      },
    }

  constructor(options: CliServiceOptions) {
    this.#options = options
  }

  /** How many sessions are open. */
  get openSessions(): number {
    return this.#sessions.size
  }

  /**
   * Answers one message.
   *
   * @throws HttpRefusal, DroppedConnection
   */
  async answer(message: Buffer): Promise<Buffer> {
    const rpc = calledRpc(message)
    this.#options.log.rpcs.push(rpc)
    if (this.#handlers[rpc] === undefined) throw new HttpRefusal(501, 'NOT_IMPLEMENTED', `No RPC ${rpc}.`)
    let thrown: unknown
    // Errors bypass the Thrift library, which would turn them into Thrift exceptions.
    const handler: RpcHandler = (request) =>
      this.#answer(rpc, request).catch((error: unknown) => {
        thrown = error
        return {}
      })
    const reply = await callThrift({ [rpc]: handler }, message)
    if (thrown !== undefined) throw thrown
    return reply
  }

  /** Ends all sessions. */
  close(): void {
    for (const session of this.#sessions.values()) session.end()
    this.#sessions.clear()
  }

  async #answer(rpc: string, request: never): Promise<object> {
    const { statement }: { readonly statement?: string } = request
    const site = statement === undefined ? { rpc } : { rpc, statement }
    const struck = this.#options.faults.strike(site)
    const fault = struck?.rule.fault
    stopStruck(fault)
    try {
      if (fault?.kind === 'session-expired') this.#expire(request, fault)
      const response = await this.#handlers[rpc]!(request, struck)
      if (fault?.kind === 'drop-after') throw new DroppedConnection('Dropped after the execution.')
      return response
    } catch (error) {
      if (!(error instanceof InvalidHandle)) throw error
      return errorReply(rpc, error.message)
    }
  }

  async #openSession({ initialNamespace, configuration = {} }: TOpenSessionReq): Promise<object> {
    const session = new WarehouseSession(
      initialNamespace?.catalogName ?? undefined,
      initialNamespace?.schemaName ?? undefined,
      configuration,
    )
    this.#sessions.set(session.id, session)
    this.#options.log.sessions.push({ id: session.id, configuration })
    return new types.TOpenSessionResp({
      status: success,
      // Below V8 the driver leaves parameters out without a word.
      serverProtocolVersion: types.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8,
      sessionHandle: new types.TSessionHandle({ sessionId: handleIdentifier(session.id) }),
      canUseMultipleCatalogs: true,
    })
  }

  async #closeSession({ sessionHandle }: TCloseSessionReq): Promise<object> {
    const session = this.#findSession(sessionHandle)
    this.#sessions.delete(session.id)
    session.end()
    return new types.TCloseSessionResp({ status: success })
  }

  async #executeStatement(request: TExecuteStatementReq, struck?: ScheduledFault): Promise<object> {
    const session = this.#findSession(request.sessionHandle)
    const parameters = (request.parameters ?? []).map(statementParameter)
    if (parameters.length > mostParameters) {
      throw new HttpRefusal(400, 'BAD_REQUEST', `A statement has at most ${mostParameters} parameters.`)
    }
    const logged: LoggedStatement = {
      sessionId: session.id,
      text: request.statement,
      parameters,
      queryTags: request.confOverlay?.query_tags ?? session.queryTags,
      state: 'RUNNING',
      wasExecuted: false,
    }
    this.#options.log.statements.push(logged)
    const operation = new StatementOperation(logged)
    session.operations.set(operation.id, operation)
    this.#run(operation, session, logged, struck)

    const kind = struck?.rule.fault.kind
    if (kind === 'orphan') throw new DroppedConnection('Dropped while the statement goes on.')
    if (kind === 'drop-after') await operation.ended
    if (kind !== 'slow' && request.getDirectResults) await this.#waitForEnd(operation)
    const maxRows = request.getDirectResults?.maxRows.toNumber()
    const { directResultsWaitMs, presign } = this.#options
    const isDirect = directResultsWaitMs > 0 && maxRows !== undefined && operation.state !== 'RUNNING'
    const direct = isDirect ? directResults(operation, maxRows, presign) : undefined
    if (direct?.closeOperation) session.operations.delete(operation.id)
    return new types.TExecuteStatementResp({
      status: success,
      operationHandle: new types.TOperationHandle({
        operationId: handleIdentifier(operation.id),
        operationType: types.TOperationType.EXECUTE_STATEMENT,
        hasResultSet: true,
      }),
      ...(direct === undefined ? {} : { directResults: direct }),
    })
  }

  #run(
    operation: StatementOperation,
    session: WarehouseSession,
    { text, parameters }: LoggedStatement,
    struck: ScheduledFault | undefined,
  ): void {
    const { engine, clock, log } = this.#options
    const { catalog, schema, statementTimeoutSeconds } = session
    if (statementTimeoutSeconds !== undefined) {
      const stop = (): void => operation.stop('TIMEDOUT', timeout(statementTimeoutSeconds))
      const cancel = clock.after(statementTimeoutSeconds * 1000, stop)
      void operation.ended.then(cancel)
    }
    const fault = struck?.rule.fault
    const execute = (signal: AbortSignal) => {
      if (fault?.kind === 'fail') throw fault.failure
      return engine.execute(text, { parameters, catalog, schema, signal })
    }
    void operation.run(async (signal) => execute(signal), struck, log)
  }

  async #waitForEnd(operation: StatementOperation): Promise<void> {
    const { clock, directResultsWaitMs } = this.#options
    if (directResultsWaitMs === 0) return
    let cancel = (): void => {}
    const waited = new Promise<void>((resolve) => {
      cancel = clock.after(directResultsWaitMs, resolve)
    })
    await Promise.race([operation.ended, waited])
    cancel()
  }

  /** @throws HttpRefusal when the newer front end reports that the session has ended */
  #expire(
    request: { readonly sessionHandle?: TSessionHandle; readonly operationHandle?: TOperationHandle },
    fault: Extract<FaultRule['fault'], { readonly kind: 'session-expired' }>,
  ): void {
    const { sessionHandle, operationHandle } = request
    const session =
      operationHandle === undefined ? this.#findSession(sessionHandle!) : this.#find(operationHandle).session
    this.#sessions.delete(session.id)
    session.end()
    if (fault.saidBy !== 'http') return
    throw new HttpRefusal(400, 'BAD_REQUEST', `Invalid SessionHandle: Session [${session.id}] is closed.`)
  }

  #findSession({ sessionId }: TSessionHandle): WarehouseSession {
    const session = this.#sessions.get(handleId(sessionId))
    if (session !== undefined) return session
    throw new InvalidHandle(`Invalid SessionHandle: SessionHandle [${handleId(sessionId)}]`)
  }

  #find(handle: TOperationHandle): {
    readonly session: WarehouseSession
    readonly operation: StatementOperation
  } {
    const id = handleId(handle.operationId)
    for (const session of this.#sessions.values()) {
      const operation = session.operations.get(id)
      if (operation !== undefined) return { session, operation }
    }
    throw new InvalidHandle(
      `Invalid OperationHandle: OperationHandle [opType=EXECUTE_STATEMENT, getHandleIdentifier()=${id}]`,
    )
  }
}

/** A null has neither a type nor a value on the wire. */
function statementParameter({ name, type, value }: TSparkParameter): StatementParameter {
  return { ...(name ? { name } : {}), type: type ?? 'VOID', value: value?.stringValue ?? null }
}

/** With Databricks' message. Its drivers recognize a timeout by this SQLSTATE. */
function timeout(seconds: number): SqlFailure {
  return new SqlFailure(
    'QUERY_EXECUTION_TIMEOUT_EXCEEDED',
    '57KD0',
    `Query execution was cancelled due to exceeding the timeout (${seconds}s). You can increase the limit in seconds by setting STATEMENT_TIMEOUT.`,
  )
}
