import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A new directory that goes away with the test. */
export async function temporaryDirectory(t: Pick<TestContext, 'after'>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-e2e-'))
  // The child of a process that was killed writes for a moment longer.
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))
  return directory
}
