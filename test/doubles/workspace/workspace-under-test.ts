import { request as httpsRequest } from 'node:https'
import type { TestContext } from 'node:test'
import { DBSQLClient } from '@databricks/sql'
import { Workspace, type WorkspaceOptions } from '../../../doubles/workspace/workspace.ts'
import { MemoryFiles } from './memory-files.ts'
import { ScriptedEngine } from './scripted-engine.ts'

/** A workspace with a scripted engine, and the real driver connected to it. */
export interface WorkspaceUnderTest {
  readonly workspace: Workspace
  readonly engine: ScriptedEngine
  readonly files: MemoryFiles
  readonly client: DBSQLClient
}

export async function workspaceUnderTest(
  t: TestContext,
  options: Omit<WorkspaceOptions, 'engine' | 'volumes'> = {},
): Promise<WorkspaceUnderTest> {
  const files = new MemoryFiles()
  const engine = new ScriptedEngine(files)
  const workspace = await Workspace.start({ engine, volumes: files, ...options })
  const client = await connectedClient(workspace, workspace.tokens.personal)
  t.after(() => workspace.close())
  return { workspace, engine, files, client }
}

/**
 * The unmodified driver, with retries that take no time.
 *
 * It trusts whatever it meets: with a certificate of one's own it reads all of the world's certificates again for each
 * connection, 150 ms in which nothing else runs (Node 20 on two cores).
 */
export async function connectedClient(
  workspace: Workspace,
  token: string,
  trust: { readonly customCaCert: string } | { readonly checkServerCertificate: boolean } = {
    checkServerCertificate: false,
  },
): Promise<DBSQLClient> {
  const client = new DBSQLClient({ logger: { log: () => {} } })
  await client.connect({
    host: workspace.host,
    port: workspace.port,
    path: workspace.httpPath,
    token,
    ...trust,
    telemetryEnabled: false,
    retryDelayMin: 1,
    retryDelayMax: 10,
  })
  return client
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** Asks the workspace something over HTTPS, with the personal token unless told otherwise. */
export function ask(
  workspace: Workspace,
  method: string,
  path: string,
  { headers = {}, body }: { readonly headers?: Record<string, string>; readonly body?: Buffer | string } = {},
): Promise<HttpAnswer> {
  const { host, port, ca, tokens } = workspace
  const allHeaders = { authorization: `Bearer ${tokens.personal}`, ...headers }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host, port, ca, method, path, headers: allHeaders, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        )
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}
