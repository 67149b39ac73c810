import type { TestContext } from 'node:test'

const closing: (() => unknown)[] = []

/** Takes what is closed when all tests of a file are over, for what they share: the last one first. */
export function sharedHooks(): Pick<TestContext, 'after'> {
  return { after: (close) => void closing.push(close as () => unknown) }
}

/**
 * Closes what the tests of a file shared. Node's own hook would run after the last file of the process.
 *
 * @throws what failed to close, after everything else is closed
 */
export async function closeShared(): Promise<void> {
  const failures: unknown[] = []
  for (const close of closing.splice(0).reverse()) {
    try {
      await close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('; '))
  if (failures.length === 1) throw failures[0]
}
