import type { Clock } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { type RetryOptions, retry } from '../../../retry.ts'
import { qualifiedName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import { jsonArray } from '../loading/json-rows.ts'
import { grantSql, rightsOnTable, rightsToUse } from '../setup/grant-sql.ts'
import type { TokenSource } from '../workspace/auth.ts'
import { authorizedRequest } from '../workspace/authorized-request.ts'
import { isSuccess, refusedRequest, type WorkspaceHttp } from '../workspace/http.ts'

export interface ZerobusClientOptions {
  readonly table: TableName
  /** Reaches the service's endpoint, which is another host than the workspace. */
  readonly http: Pick<WorkspaceHttp, 'request'>
  /** Tokens for the table: see `zerobusTokenFields`. */
  readonly tokens: TokenSource
  /** The statements that grant what a token is asked for, for messages. */
  readonly grants: readonly string[]
  readonly clock: Clock
  /** How transient failures are retried; the clock and the signal are added. */
  readonly retry?: Pick<RetryOptions, 'policy' | 'random' | 'onRetry' | 'giveUp'> | undefined
  readonly signal?: AbortSignal | undefined
}

/** All that names of Zerobus tables may hold: https://docs.databricks.com/ingestion/zerobus-limits (read 2026-11-29) */
const zerobusName = /^[A-Za-z0-9_]+$/

/**
 * Adds rows to a table by the REST interface of Zerobus Ingest, which needs no warehouse. The service answers when the rows
 * are durable, and shows them in the table seconds later. It may add rows twice, and so may a repeated request.
 *
 * https://docs.databricks.com/ingestion/zerobus-ingest (read 2026-11-29)
 */
export class ZerobusClient {
  readonly #options: ZerobusClientOptions

  /** @throws TABLE_UNSUPPORTED for a name that the service cannot take */
  constructor(options: ZerobusClientOptions) {
    this.#options = options
    const { table } = options
    const bad = Object.values(table).find((part) => !zerobusName.test(part))
    if (bad === undefined) return
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `Zerobus cannot write to ${qualifiedName(table)}: expected ASCII letters, digits and _ in every part of its name, found ${bad}.`,
    )
  }

  /**
   * Checks that the identity gets a token with the rights on the table. Sends no row.
   *
   * @throws WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE
   */
  async requireToken(): Promise<void> {
    const { tokens, clock, signal, retry: how } = this.#options
    await this.#namingRights(() => retry(() => tokens.token({ signal }), { ...how, clock, signal }))
  }

  /**
   * Adds rows: they are durable when this resolves. After a failure any of them may be added, so that sending them again
   * can add them twice.
   *
   * @param rows the texts of JSON objects
   * @throws WAREHOUSE_DENIED, TABLE_MISSING, STATEMENT_FAILED when the service refuses the rows
   */
  async insert(rows: readonly string[]): Promise<void> {
    const { table, http, tokens, clock, signal, retry: how } = this.#options
    const body = jsonArray(rows)
    const path = `/zerobus/v1/tables/${Object.values(table).join('.')}/insert`
    const headers = { 'content-type': 'application/json' }
    const send = async (): Promise<void> => {
      const answer = await authorizedRequest(
        { http, tokens },
        { method: 'POST', path, headers, body, signal },
      )
      if (isSuccess(answer)) return
      const refused = refusedRequest('Sending rows by Zerobus', answer, clock.now())
      const { code, message, context } = refused
      if (answer.status === 404) {
        const missing = `Zerobus does not find the table ${qualifiedName(table)}: ${message}`
        throw new TailraceError('TABLE_MISSING', missing, { context })
      }
      if (code !== 'STATEMENT_FAILED') throw refused
      throw new TailraceError(
        code,
        `${message}. No query was made: tailrace check compares the table ${qualifiedName(table)} with the declaration; if it finds nothing, Zerobus cannot write to this table, so land by another sink.mode.`,
        { context },
      )
    }
    await this.#namingRights(() => retry(send, { ...how, clock, signal }))
  }

  /** The service does not say which of the rights of a token is missing, so a refusal gets the grants of all. */
  async #namingRights<Result>(work: () => Promise<Result>): Promise<Result> {
    const { grants } = this.#options
    try {
      return await work()
    } catch (error) {
      // A wrong secret is no missing right.
      if (!isTailraceError(error, 'WAREHOUSE_DENIED') || error.context.errorClass === 'invalid_client')
        throw error
      throw new TailraceError(error.code, `${error.message}. Zerobus needs all of: ${grants.join(' ')}`, {
        context: error.context,
        cause: error,
      })
    }
  }
}

/** @returns the statements that grant what a token for a table is asked for */
export function zerobusGrants(table: TableName, principal: string): readonly string[] {
  return grantSql([...rightsToUse(table.catalog, table.schema), ...rightsOnTable(table)], principal)
}

/**
 * @returns the form fields by which a service principal asks for a token that Zerobus takes: for one table, with exactly
 * the rights that it needs. The service takes no other token.
 */
export function zerobusTokenFields(
  { catalog, schema, table }: TableName,
  workspaceId: string,
): Readonly<Record<string, string>> {
  const onObject = (type: string, path: readonly string[], privileges: readonly string[]) => ({
    type: 'unity_catalog_privileges',
    privileges,
    object_type: type,
    object_full_path: path.join('.'),
  })
  return {
    resource: `api://databricks/workspaces/${workspaceId}/zerobusDirectWriteApi`,
    authorization_details: JSON.stringify([
      onObject('CATALOG', [catalog], ['USE CATALOG']),
      onObject('SCHEMA', [catalog, schema], ['USE SCHEMA']),
      onObject('TABLE', [catalog, schema, table], ['SELECT', 'MODIFY']),
    ]),
  }
}
