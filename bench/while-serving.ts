import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Command, startMeasured, type Usage } from './measured-process.ts'

/** Any key does: nothing is checked. */
const accountKey = Buffer.from('nothing is checked').toString('base64')

/**
 * Runs a server of a storage account in a process of its own while `work` runs.
 *
 * @param server prints the port that it listens on, and ends well by SIGTERM
 * @returns what `work` came to, and what the server used
 */
export async function whileServing<Result>(
  server: Command,
  scratch: string,
  work: (connectionString: string) => Promise<Result>,
): Promise<{ readonly result: Result; readonly server: Usage }> {
  const { child, ended } = startMeasured(server, scratch)
  try {
    const lines = createInterface({ input: child.stdout! })
    const [port] = (await Promise.race([once(lines, 'line'), ended.then(() => [])])) as string[]
    const result = await work(
      `DefaultEndpointsProtocol=http;AccountName=bench;AccountKey=${accountKey};BlobEndpoint=http://127.0.0.1:${port}/bench;`,
    )
    child.kill('SIGTERM')
    const { stdout: _, wallSeconds: __, ...usage } = await ended
    return { result, server: usage }
  } finally {
    child.kill('SIGTERM')
  }
}
