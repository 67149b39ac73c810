import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { nodeCommand, startMeasured, type Usage } from './measured-process.ts'

/** The blob's name; the server answers to any. */
export const servedBlob = 'lines.ndjson'

/** Any key does: nothing is checked. */
const accountKey = Buffer.from('nothing is checked').toString('base64')

/**
 * Serves a file as an append blob from a process of its own while `work` runs.
 *
 * @returns what `work` came to, and what the server used
 */
export async function whileServing<Result>(
  path: string,
  scratch: string,
  work: (connectionString: string) => Promise<Result>,
): Promise<{ readonly result: Result; readonly server: Usage }> {
  const { child, ended } = startMeasured(nodeCommand('bench/range-server.ts', [path]), scratch)
  try {
    const lines = createInterface({ input: child.stdout! })
    const [port] = (await Promise.race([once(lines, 'line'), ended.then(() => [])])) as string[]
    const result = await work(
      `DefaultEndpointsProtocol=http;AccountName=bench;AccountKey=${accountKey};BlobEndpoint=http://127.0.0.1:${port}/bench;`,
    )
    child.kill('SIGTERM')
    const { stdout: _, wallSeconds: __, ...server } = await ended
    return { result, server }
  } finally {
    child.kill('SIGTERM')
  }
}
