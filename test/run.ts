// Node 20's test runner takes no patterns, so the files are found here: `pnpm test`, or `pnpm test batcher delta`
// for those whose path contains one of the words. Six suites are run by themselves: other engines on our tables and
// we on theirs (`pnpm test:interop`); calls that fail, power cuts, and processes that are killed or compete
// (`pnpm test:crashes`); the packed package in a project of its own (`pnpm test:package`); and whether the services that
// the tests talk to behave as the real ones do (`pnpm test:doubles`), which only a change to them can alter; what deploy/ holds,
// with the image built and run (`pnpm test:deploy`); and the page in a browser (`pnpm test:browser`).
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)
const isApart = (file: string): boolean =>
  /^(?:browser|deploy|doubles|faults|golden|interop|package)\/|\/kill|competing-writers|two-processes|^databricks\/(?:crashes|faults)\b/.test(
    file,
  )
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => (words.length === 0 ? !isApart(file) : words.some((word) => file.includes(word))))
  .map((file) => relative(process.cwd(), join(root, 'test', file)))
  .sort()

if (files.length === 0) {
  console.error(`No test file's path contains ${words.join(' or ')}.`)
  process.exit(2)
}

// A file that takes longer has stopped going on: it is killed and fails, instead of the whole run hanging. Long searches for
// faults are given more.
const maxFileMs = Number(process.env.TAILRACE_TEST_MINUTES ?? 10) * 60_000
const testTimeout = new URL('./support/test-timeout.ts', import.meta.url).href

// Many tests wait for other processes, so three files at a time take less time even on two cores.
const runner = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    '--import',
    testTimeout,
    '--test',
    '--test-concurrency=3',
    `--test-timeout=${maxFileMs}`,
    ...files,
  ],
  { stdio: 'inherit' },
)
runner.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1
})
