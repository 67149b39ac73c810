import { RequestFailure } from './failures.ts'
import { badRequest } from './parameters.ts'

/** Limit of a request's body, in bytes. */
const maxBodyBytes = 256 * 1024

/**
 * Reads the JSON of a request.
 *
 * @throws RequestFailure BAD_REQUEST, TOO_LARGE
 */
export async function jsonBody(request: Request): Promise<unknown> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of request.body ?? []) {
    bytes += part.length
    if (bytes > maxBodyBytes)
      throw new RequestFailure('TOO_LARGE', `A body has at most ${maxBodyBytes} bytes.`)
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    throw badRequest('body', 'another text', 'JSON')
  }
}
