// Node 20's test runner takes no patterns, so the files are found here: `pnpm test`, or `pnpm test batcher delta`
// for those whose path contains one of the words. What other engines make of our tables and we of theirs is a suite of
// its own: `pnpm test:interop`.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)
const isInterop = (file: string): boolean => /^(?:interop|golden)\//.test(file)
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => (words.length === 0 ? !isInterop(file) : words.some((word) => file.includes(word))))
  .map((file) => relative(process.cwd(), join(root, 'test', file)))
  .sort()

if (files.length === 0) {
  console.error(`No test file's path contains ${words.join(' or ')}.`)
  process.exit(2)
}

// Many tests wait for other processes, so two files at a time take less time even on two cores.
const runner = spawn(process.execPath, ['--import', 'tsx', '--test', '--test-concurrency=2', ...files], {
  stdio: 'inherit',
})
runner.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1
})
