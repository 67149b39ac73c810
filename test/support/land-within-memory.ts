import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { runTailrace } from './run-tailrace.ts'
import { skipUnless } from './skip-unless.ts'
import { startStorage } from './storage.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { type TestConfig, writeProject } from './test-project.ts'

/** Linux counts the peak of resident memory; the process prints it when it ends. */
const printPeak = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync } from 'node:fs'
  process.on('exit', () => process.stderr.write(readFileSync('/proc/self/status', 'utf8').match(/VmHWM:.*/)[0]))
`)}`

/** The promise for every input. */
const maxPeakBytes = 450e6

const maxAppendBytes = 4 * 1024 * 1024

/** Whether tests of memory are skipped here, and why. */
export const skipWithoutPeak = skipUnless(
  process.platform === 'linux' ? false : 'the peak of memory is read from /proc',
)

/** Lines with their newlines, as the bytes of a blob. */
export function linesAsBytes(lines: readonly (string | Buffer)[]): readonly Buffer[] {
  return lines.map((line) => Buffer.concat([Buffer.from(line), Buffer.from('\n')]))
}

/**
 * Appends bytes to blobs, lands all of them, and requires that the process needed at most 450 MB.
 *
 * @param config where the rows land; default: a Delta table
 */
export async function landWithinMemory(
  t: TestContext,
  blobs: Readonly<Record<string, readonly Buffer[]>>,
  expected: { readonly rows: number; readonly rejected: number },
  config: Pick<TestConfig, 'sink' | 'schema'> = {},
): Promise<void> {
  const storage = await startStorage(t)
  for (const [name, parts] of Object.entries(blobs)) {
    for (const bytes of parts) {
      for (let start = 0; start < bytes.length; start += maxAppendBytes)
        await storage.append(name, bytes.subarray(start, start + maxAppendBytes))
    }
  }
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: '*.json' } },
    batch: { maxAgeMs: 60_000 },
    ...config,
  })
  const run = await runTailrace(t, ['start', '--once', '--config', project.configPath], {
    // As `pnpm start`, the image and the systemd file have it.
    env: { MALLOC_ARENA_MAX: '2', NODE_OPTIONS: `--max-semi-space-size=4 --import ${printPeak}` },
  })
  assert.equal(run.code, 0, run.stderr)
  const { rows, rejected } = JSON.parse(run.stdout).pipelines.primary
  assert.deepEqual({ rows, rejected }, expected)
  const peakBytes = Number(/VmHWM:\s+(\d+) kB/.exec(run.stderr)?.[1]) * 1024
  t.diagnostic(`peak of ${(peakBytes / 1e6).toFixed(0)} MB`)
  assert.ok(peakBytes > 0 && peakBytes <= maxPeakBytes, `${peakBytes} bytes`)
}
