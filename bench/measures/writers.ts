import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { nodeCommand, projectDirectory } from '../measured-process.ts'
import { percentile } from '../reports/statistics.ts'

/** Times of the commits of several processes that land different blobs into one local table at once. */
export interface WritersResult {
  readonly writers: number
  readonly commits: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Each process lands batches of one row without a pause: no real run competes as much. */
export async function measureWriters(
  { counts, commits }: { readonly counts: readonly number[]; readonly commits: number },
  scratch: string,
  say: (text: string) => void,
): Promise<readonly WritersResult[]> {
  const results: WritersResult[] = []
  for (const writers of counts) {
    say(`writers: ${writers}`)
    const directory = join(scratch, 'writers')
    await rm(directory, { recursive: true, force: true })
    const table = join(directory, 'table')
    const started = Array.from({ length: writers }, (_, index) =>
      startWriter([table, join(directory, String(index)), `bench/${index}.ndjson`, String(commits)]),
    )
    await Promise.all(started.map(({ ready }) => ready))
    const times = await Promise.all(started.map((writer) => writer.run()))
    const tookMs = times.flat()
    const versions = (await new LocalDeltaStorage(table).list('_delta_log', '0')).filter((name) =>
      name.endsWith('.json'),
    )
    if (versions.length !== 1 + writers * commits)
      throw new Error(`${tookMs.length} commits made ${versions.length - 1} versions.`)
    const [p50Ms, p99Ms, maxMs] = [0.5, 0.99, 1].map((quantile) => percentile(tookMs, quantile))
    results.push({ writers, commits: tookMs.length, p50Ms: p50Ms!, p99Ms: p99Ms!, maxMs: maxMs! })
    await rm(directory, { recursive: true, force: true })
  }
  return results
}

function startWriter(args: readonly string[]): {
  readonly ready: Promise<unknown>
  readonly run: () => Promise<number[]>
} {
  const { program, args: all } = nodeCommand('bench/measures/writing-process.ts', args)
  const child = spawn(program, all, { cwd: projectDirectory, stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const failed = once(child, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`A writer ended with ${code}.`)
  })
  return {
    ready: Promise.race([once(lines, 'line'), failed]),
    run: async () => {
      const answer = once(lines, 'line') as Promise<[string]>
      child.stdin.end('go')
      await Promise.race([answer, failed])
      return JSON.parse((await answer)[0]) as number[]
    },
  }
}
