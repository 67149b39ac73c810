import { type AgentOptions, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Duplex } from 'node:stream'
import type { RequestPolicyFactory } from '@azure/storage-blob'
import type { Clock } from '../clock.ts'

/** The SDK's own agents keep connections too; it makes them where no deadline can be given. */
const options: AgentOptions = { keepAlive: true }

/**
 * A step of the SDK's pipeline that sends requests through agents whose connections have to be made in time.
 *
 * Without it a host that swallows packets holds a request for as long as the system tries, two minutes on Linux.
 * Behind a proxy the SDK's own agents stay in use.
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
