import { Agent } from 'node:https'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import type { WorkspaceAddress } from './workspace-auth.ts'

/** What keeps the connections to a workspace: straight, or through the address's proxy by `CONNECT`. */
export async function workspaceAgent({ proxy, customCa }: WorkspaceAddress): Promise<Agent> {
  const options = { keepAlive: true, ...trusting(customCa) }
  if (proxy === undefined) return new Agent(options)
  // Few workspaces are behind a proxy; nobody else has to load it.
  const { HttpsProxyAgent } = await import('https-proxy-agent')
  const agent = new HttpsProxyAgent(proxy, options) as unknown as Agent
  // What it is made with is for the connection to the proxy; this is for the one through it.
  Object.assign(agent.options, trusting(customCa))
  return agent
}

/** By the PEM text of the authority: a process has one workspace, or few. */
const contexts = new Map<string, SecureContext>()

/**
 * Options of a connection that trusts an authority beside the usual ones.
 *
 * Naming authorities replaces all others, so the usual ones are named too. They are read here, once: for each connection
 * anew it would take 150 ms in which nothing else runs (Node 20).
 */
export function trusting(customCa: string | undefined): { readonly secureContext?: SecureContext } {
  if (customCa === undefined) return {}
  const secureContext = contexts.get(customCa) ?? createSecureContext({ ca: [...rootCertificates, customCa] })
  contexts.set(customCa, secureContext)
  return { secureContext }
}
