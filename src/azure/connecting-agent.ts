import { type AgentOptions, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Duplex } from 'node:stream'
import type { RequestPolicyFactory } from '@azure/storage-blob'
import type { Clock } from '../clock.ts'

/** Like the SDK's own agents, which cannot be given a time limit for connecting. */
const options: AgentOptions = { keepAlive: true }

/**
 * @returns a policy of the SDK's pipeline that limits the time to open a connection
 *
 * Without it, a host that drops packets holds a request until the system gives up: two minutes on Linux. Requests through
 * a proxy use the SDK's own agents, without the limit.
 */
export function connectInTime(clock: Clock, connectMs: number): RequestPolicyFactory {
  const http = inTime(new HttpAgent(options), 'connect', clock, connectMs)
  const https = inTime(new HttpsAgent(options), 'secureConnect', clock, connectMs)
  return {
    create: (next) => ({
      sendRequest: (request) => {
        request.agent ??= request.url.startsWith('https:') ? https : http
        return next.sendRequest(request)
      },
    }),
  }
}

function inTime<A extends HttpAgent>(
  agent: A,
  connected: 'connect' | 'secureConnect',
  clock: Clock,
  connectMs: number,
): A {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => {
    const socket = create(...args)
    if (socket != null) watch(socket, connected, clock, connectMs)
    return socket
  }
  return agent
}

function watch(socket: Duplex, connected: string, clock: Clock, connectMs: number): void {
  const late = Object.assign(new Error(`no connection for ${connectMs} ms`), { code: 'ETIMEDOUT' })
  const cancel = clock.after(connectMs, () => socket.destroy(late))
  socket.once(connected, cancel).once('close', cancel)
}
