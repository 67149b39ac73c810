import { afterEach, beforeEach, type TestContext } from 'node:test'

/** Longer than any test takes on a loaded machine, and shorter than the limit of a file: see test/run.ts. */
const maxTestMs = Number(process.env.TAILRACE_TEST_MINUTES ?? 10) * 48_000

let limit: NodeJS.Timeout | undefined

// Preloaded by test/run.ts: Node 20's own limits are of a whole file, and do not name the test that hangs. The process
// of the runner itself has no tests.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  beforeEach((context) => {
    const { name } = context as TestContext
    clearTimeout(limit)
    limit = setTimeout(() => {
      console.error(`The test ${JSON.stringify(name)} has not ended within ${maxTestMs / 1000} s.`)
      process.exit(1)
    }, maxTestMs).unref()
  })
  afterEach(() => clearTimeout(limit))
}
