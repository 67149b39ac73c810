import type { Agent } from 'node:https'
import type * as Driver from '@databricks/sql'
import type { Deadline } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import { version } from '../../../package.ts'
import type { Logger } from '../../../reporting/logger.ts'
import type { WorkspaceAddress } from '../workspace/auth.ts'
import { trusting } from '../workspace/http.ts'
import type { StatementRow } from './warehouse.ts'

export interface DriverSessionOptions {
  readonly address: WorkspaceAddress
  /** Called before each request of the driver. */
  readonly token: () => Promise<string>
  readonly logger: Logger
  /** Longest time without traffic on a socket, in milliseconds. */
  readonly socketMs: number
  /** Settings of the session, by name. */
  readonly configuration: Readonly<Record<string, string>>
  readonly queryTags: Readonly<Record<string, string>>
}

type ThriftTypes = (typeof Driver)['thrift']['TCLIService_types']

type Connection = Awaited<ReturnType<Driver.DBSQLClient['openSession']>>

/** A sent statement, as the driver represents it. */
export type DriverOperation = Awaited<ReturnType<Connection['executeStatement']>>

export type DriverStatementOptions = NonNullable<Parameters<Connection['executeStatement']>[1]>

/** A session of the driver with its own connections. */
export class DriverSession {
  readonly session: Connection
  /** The driver's numbers for SQL types, by names such as `BIGINT_TYPE`, and the names by the numbers. */
  readonly typeIds: ThriftTypes['TTypeId']
  /** The driver's number for the state of a running statement. */
  readonly runningState: number
  /** The driver's numbers for the states of a statement that has not ended. */
  readonly waitingStates: ReadonlySet<number>
  readonly #agent: Agent
  readonly #hosts: ReadonlySet<string>

  private constructor(
    session: Connection,
    agent: Agent,
    hosts: ReadonlySet<string>,
    { TTypeId, TOperationState }: ThriftTypes,
  ) {
    this.session = session
    this.#agent = agent
    this.#hosts = hosts
    this.typeIds = TTypeId
    this.runningState = TOperationState.RUNNING_STATE
    const { INITIALIZED_STATE, RUNNING_STATE, PENDING_STATE } = TOperationState
    this.waitingStates = new Set([INITIALIZED_STATE, RUNNING_STATE, PENDING_STATE])
  }

  /**
   * Opens a session. The first one loads the driver, which takes 0.4 to 1.5 s and 30 MB (2 cores).
   *
   * @throws the driver's error or the deadline's reason
   */
  static async open(options: DriverSessionOptions, deadline: Deadline): Promise<DriverSession> {
    const { DBSQLClient, thrift } = await import('@databricks/sql')
    const { address, logger } = options
    // The driver's log messages name sessions, operations and settings, and never a statement.
    const client = new DBSQLClient({
      logger: { log: (level, message) => logger.debug({ driverLevel: level }, message) },
    })
    await client.connect(connectionOptions(options))
    const agent = (await (await client.getConnectionProvider()).getAgent()) as Agent
    trust(agent, address.customCa)
    endStalled(agent)
    const hosts = watchHosts(agent, address.host)
    const { configuration, queryTags } = options
    try {
      const opening = client.openSession({ configuration: { ...configuration }, queryTags: { ...queryTags } })
      const session = await deadline.race(opening, (late) => void late.close().catch(() => {}))
      return new DriverSession(session, agent, hosts, thrift.TCLIService_types)
    } catch (error) {
      agent.destroy()
      throw error
    }
  }

  /** The host that the driver has sent staged files to last; undefined before, and behind a proxy. */
  get storageHost(): string | undefined {
    return [...this.#hosts].at(-1)
  }

  /** Ends the session on the server. */
  async close(): Promise<void> {
    await this.session.close()
  }

  /** Closes the connections at once: the only way to stop an upload of the driver. */
  destroy(): void {
    this.#agent.destroy()
  }
}

/**
 * Sets the trusted certificates on the driver's agent. The driver ignores its own `customCaCert` behind a proxy (2.1.0).
 * Without a proxy it reads all certificates again for each connection, and Node joins their texts for each request.
 */
function trust(agent: Agent, customCa: string | undefined): void {
  const { connectOpts } = agent as { readonly connectOpts?: object }
  Object.assign(agent.options, trusting(customCa))
  // For the connection to the proxy itself.
  if (connectOpts !== undefined) Object.assign(connectOpts, trusting(customCa))
}

/**
 * Destroys sockets that time out. The agent only makes them emit `timeout`, which nobody handles, so the driver's uploads,
 * which have no time limit of their own, would wait forever.
 */
function endStalled(agent: Agent): void {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => {
    const socket = create(...args)
    const late = Object.assign(new Error('the connection is idle for too long'), { code: 'ETIMEDOUT' })
    socket?.once('timeout', () => socket.destroy(late))
    return socket
  }
}

/**
 * The driver alone knows the signed URLs of a volume's storage, so its host is read off the connections.
 *
 * @returns the hosts of new connections but those to the workspace, as they are made
 */
function watchHosts(agent: Agent, workspaceHost: string): ReadonlySet<string> {
  const hosts = new Set<string>()
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => {
    const { host } = (args[0] ?? {}) as { readonly host?: unknown }
    if (typeof host === 'string' && host !== workspaceHost) hosts.add(host)
    return create(...args)
  }
  return hosts
}

type ConnectionOptions = Parameters<Driver.DBSQLClient['connect']>[0]

function connectionOptions({ address, token, socketMs }: DriverSessionOptions): ConnectionOptions {
  const { host, port, httpPath, proxy } = address
  const options: ConnectionOptions = {
    host,
    path: httpPath,
    // With the driver's own token provider, it would cache tokens and use a refused one again.
    authType: 'custom',
    provider: { authenticate: async () => ({ Authorization: `Bearer ${await token()}` }) },
    userAgentEntry: `Tailrace/${version}`,
    socketTimeout: socketMs,
    telemetryEnabled: false,
    preserveBigNumericPrecision: true,
    // Retries are done by SqlWarehouse; the driver's own take the seconds of Retry-After for milliseconds.
    retryMaxAttempts: 1,
  }
  if (port !== undefined) options.port = port
  if (proxy !== undefined) options.proxy = proxyOptions(proxy)
  return options
}

type Proxy = NonNullable<ConnectionOptions['proxy']>

/** Keeps name and password escaped, because the driver builds a URL from them without escaping. */
function proxyOptions(proxy: string): Proxy {
  const { protocol, hostname, port, username, password } = new URL(proxy)
  const secure = protocol === 'https:'
  const options: Proxy = {
    protocol: secure ? 'https' : 'http',
    host: hostname,
    port: port === '' ? (secure ? 443 : 80) : Number(port),
  }
  if (username !== '') options.auth = { username, password }
  return options
}

/** Rows per fetch; the driver buffers about as many. */
const rowsPerPart = 10_000

/** The rows of a finished statement, fetched in parts. */
export interface StatementRows {
  readonly columns: readonly string[]
  /** SQL types of the columns, such as `BIGINT`, without their parameters. */
  readonly types: readonly string[]
  /** @returns the next part; undefined after the last one */
  next(): Promise<readonly StatementRow[] | undefined>
}

/**
 * Starts to fetch the rows of a finished statement.
 *
 * The driver returns 64-bit integers as `bigint` or `number`, depending on the warehouse's transfer format; here they
 * become `bigint`.
 *
 * @throws STATEMENT_FAILED when a 64-bit integer was rounded
 */
export async function statementRows(
  operation: DriverOperation,
  typeIds: DriverSession['typeIds'],
): Promise<StatementRows> {
  const schema = await operation.getSchema()
  if (schema === null) return { columns: [], types: [], next: async () => undefined }
  const columns = schema.columns.map(({ columnName }) => columnName)
  const types = schema.columns.map(({ typeDesc }) => {
    const id = typeDesc.types[0]?.primitiveEntry?.type
    return id === undefined ? '' : (typeIds[id] ?? '').replace(/_TYPE$/, '')
  })
  const wide = columns.filter((_, index) => types[index] === 'BIGINT')
  let hasMore = true
  return {
    columns,
    types,
    next: async () => {
      if (!hasMore) return undefined
      const rows = (await operation.fetchChunk({ maxRows: rowsPerPart })) as StatementRow[]
      hasMore = await operation.hasMoreRows()
      return wide.length === 0 ? rows : rows.map((row) => withBigints(row, wide))
    },
  }
}

function withBigints(row: StatementRow, columns: readonly string[]): StatementRow {
  const exact: Record<string, unknown> = { ...row }
  for (const column of columns) {
    const value = row[column]
    if (typeof value !== 'number') continue
    if (!Number.isSafeInteger(value))
      throw new TailraceError(
        'STATEMENT_FAILED',
        `The driver rounded a 64-bit integer of the column "${column}"`,
      )
    exact[column] = BigInt(value)
  }
  return exact
}
