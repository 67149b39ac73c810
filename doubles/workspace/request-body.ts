import type { IncomingMessage } from 'node:http'
import type { RouteFault } from './faults.ts'
import { DroppedConnection } from './refusals.ts'

/**
 * Reads a request's whole body.
 *
 * @throws DroppedConnection when the connection ends before the body's length, or a fault cuts it
 */
export async function requestBody(request: IncomingMessage, fault?: RouteFault): Promise<Buffer> {
  const mostBytes = fault?.kind === 'cut-upload' ? fault.afterBytes : Number.POSITIVE_INFINITY
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= mostBytes) break
    }
  } catch (error) {
    throw new DroppedConnection('The client went away amid the body.', { cause: error })
  }
  if (fault?.kind === 'cut-upload') throw new DroppedConnection(`Cut after ${bytes} bytes.`)
  return Buffer.concat(chunks)
}
