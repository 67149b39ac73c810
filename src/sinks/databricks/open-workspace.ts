import { readFile } from 'node:fs/promises'
import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { requireInstalled } from '../../package.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { RetryOptions } from '../../retry.ts'
import { type DatabricksTarget, stagesFiles, volumeFolderOf } from './options.ts'
import { FilesApiStaging } from './staging/files-api.ts'
import { SqlVolumeStaging } from './staging/sql-volume.ts'
import type { VolumeStaging } from './staging/volume-staging.ts'
import { SqlWarehouse } from './warehouse/sql-warehouse.ts'
import type { StreamingWarehouse } from './warehouse/warehouse.ts'
import type { TokenSource, WorkspaceAddress, WorkspaceAuth } from './workspace/auth.ts'
import { WorkspaceHttp } from './workspace/http.ts'
import { EntraTokenSource } from './workspace/tokens-entra.ts'
import { OAuthTokenSource } from './workspace/tokens-oauth.ts'
import { WorkspaceApi } from './workspace/workspace-api.ts'
import { ZerobusClient, zerobusGrants, zerobusTokenFields } from './zerobus/zerobus-client.ts'

export interface OpenWorkspaceOptions {
  /** How transient failures are retried. Default: until they end. */
  readonly retry?: Pick<RetryOptions, 'policy' | 'onRetry'> | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** A pipeline's clients for a workspace. No request is sent before they are used. */
export interface Workspace {
  /** Undefined without `sink.httpPath`. */
  readonly warehouse: StreamingWarehouse | undefined
  /** The pipeline's folder in the volume, also where only an earlier mode has staged files; undefined without a volume. */
  readonly volume: VolumeStaging | undefined
  /** The same; undefined in modes that stage no files. */
  readonly staging: VolumeStaging | undefined
  /** Defined in mode zerobus only. */
  readonly zerobus: ZerobusClient | undefined
  readonly api: WorkspaceApi
  close(): Promise<void>
}

/**
 * @throws CONFIG_INVALID when `sink.customCaFile` cannot be read
 * @throws TABLE_UNSUPPORTED for a table that Zerobus cannot write, in mode zerobus
 * @throws PACKAGE_MISSING
 */
export async function openWorkspace(
  target: Pick<DatabricksTarget, 'name' | 'sink' | 'table'>,
  { retry = {}, signal, clock, logger }: OpenWorkspaceOptions,
): Promise<Workspace> {
  const { name, sink } = target
  if (sink.httpPath !== undefined) requireInstalled('@databricks/sql', 'A SQL warehouse')
  const connection = { proxy: sink.proxy, customCa: await readCertificates(sink.customCaFile) }
  const address: WorkspaceAddress = {
    ...hostAndPort(sink.host),
    ...connection,
    httpPath: sink.httpPath ?? '',
    auth: sink.auth,
  }
  const http = new WorkspaceHttp({ address, clock })
  const tokens = tokenSource(address.auth, { http, clock })
  const warehouse =
    sink.httpPath === undefined
      ? undefined
      : new SqlWarehouse({
          address,
          tokens,
          pipeline: name,
          clock,
          logger,
          retry,
          signal,
          statementMs: sink.statementTimeoutMs,
        })
  const folder = volumeFolderOf(target)
  const volumeOf = (): VolumeStaging | undefined => {
    if (folder === undefined) return undefined
    if (sink.upload === 'files-api')
      return new FilesApiStaging({ folder, http, tokens, clock, retry, signal })
    return warehouse === undefined ? undefined : new SqlVolumeStaging({ folder, warehouse })
  }
  const volume = volumeOf()
  const zerobus = zerobusOf(target, { http, connection, clock, retry, signal })
  return {
    warehouse,
    volume,
    staging: stagesFiles(sink) ? volume : undefined,
    zerobus: zerobus?.client,
    api: new WorkspaceApi(http, tokens, () => clock.now()),
    close: async () => {
      await warehouse?.close()
      await http.close()
      await zerobus?.http.close()
    },
  }
}

/** The rows go to another host than the workspace; the tokens for it are those of the workspace. */
function zerobusOf(
  { sink, table }: Pick<DatabricksTarget, 'sink' | 'table'>,
  {
    http: workspaceHttp,
    connection,
    ...rest
  }: Pick<OpenWorkspaceOptions, 'retry' | 'signal' | 'clock'> & {
    readonly http: WorkspaceHttp
    readonly connection: Pick<WorkspaceAddress, 'proxy' | 'customCa'>
  },
): { readonly client: ZerobusClient; readonly http: WorkspaceHttp } | undefined {
  const { auth, mode, zerobus } = sink
  if (mode !== 'zerobus' || zerobus === undefined || auth.kind !== 'oauth') return undefined
  const { clock } = rest
  const http = new WorkspaceHttp({ address: { ...hostAndPort(zerobus.host), ...connection }, clock })
  const fields = zerobusTokenFields(table.name, zerobus.workspaceId ?? '')
  const tokens = new OAuthTokenSource({ ...auth, fields, http: workspaceHttp, clock })
  const grants = zerobusGrants(table.name, auth.clientId)
  return { client: new ZerobusClient({ table: table.name, http, tokens, grants, ...rest }), http }
}

function hostAndPort(text: string): Pick<WorkspaceAddress, 'host' | 'port'> {
  const [host = '', port] = text.split(':')
  return { host, port: port === undefined ? undefined : Number(port) }
}

/** The tokens of a way to prove who one is; nothing is asked for yet. */
export function tokenSource(
  auth: WorkspaceAuth,
  { http, clock }: { readonly http: WorkspaceHttp; readonly clock: Clock },
): TokenSource {
  switch (auth.kind) {
    case 'token':
      return { token: async () => ({ value: auth.token, expiresAtMs: undefined }) }
    case 'oauth':
      return new OAuthTokenSource({ ...auth, http, clock })
    case 'entra':
      return new EntraTokenSource({ ...auth, clock })
  }
}

async function readCertificates(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new TailraceError('CONFIG_INVALID', `sink.customCaFile cannot be read: ${path}.`, { cause: error })
  }
}
