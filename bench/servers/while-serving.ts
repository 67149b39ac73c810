import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Command, type Measurement, startMeasured } from '../measured-process.ts'

/** Any key does: nothing is checked. */
const accountKey = Buffer.from('nothing is checked').toString('base64')

/**
 * Runs a server in a process of its own while `work` runs.
 *
 * @param server prints a line when it is ready, and ends well by SIGTERM
 * @param work gets that line
 * @returns the result of `work`, and the usage and output of the server
 */
export async function whileRunning<Result>(
  server: Command,
  scratch: string,
  work: (ready: string) => Promise<Result>,
): Promise<{ readonly result: Result; readonly server: Measurement }> {
  const { child, ended } = startMeasured(server, scratch)
  try {
    const lines = createInterface({ input: child.stdout! })
    const [ready] = (await Promise.race([once(lines, 'line'), ended.then(() => [])])) as string[]
    if (ready === undefined) throw new Error(`${server.args.join(' ')} ended before it was ready.`)
    const result = await work(ready)
    child.kill('SIGTERM')
    return { result, server: await ended }
  } finally {
    child.kill('SIGTERM')
  }
}

/**
 * Runs a server of a storage account while `work` runs.
 *
 * @param server prints the port that it listens on, and ends well by SIGTERM
 */
export function whileServing<Result>(
  server: Command,
  scratch: string,
  work: (connectionString: string) => Promise<Result>,
): Promise<{ readonly result: Result; readonly server: Measurement }> {
  return whileRunning(server, scratch, (port) =>
    work(
      `DefaultEndpointsProtocol=http;AccountName=bench;AccountKey=${accountKey};BlobEndpoint=http://127.0.0.1:${port}/bench;`,
    ),
  )
}
