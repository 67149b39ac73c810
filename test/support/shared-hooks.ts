import { after, type TestContext } from 'node:test'

/** Takes what is closed when all tests of a file are over, for what they share: the last one first. */
export function sharedHooks(): Pick<TestContext, 'after'> {
  const closing: (() => unknown)[] = []
  after(async () => {
    for (const close of closing.reverse()) await close()
  })
  return { after: (close) => void closing.push(close as () => unknown) }
}
