// Node 20's test runner takes no patterns, so the files are found here: `pnpm test`, or `pnpm test batcher delta`
// for those whose path contains one of the words, without those that contain a word behind `!`. Files that take long, or
// need what not every machine has, are in suites, which run by their names (`pnpm test:e2e`, or `tsx test/run.ts --suite e2e`).
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { FileEvent } from './support/file-group.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** The suites, and the paths of their files: of the first one that matches. All other files are those of `pnpm test`. */
const suites: readonly (readonly [name: string, files: RegExp])[] = [
  // The page in a browser.
  ['browser', /^browser\//],
  // What deploy/ holds, with the image built and run.
  ['deploy', /^deploy\//],
  // The packed package in a project of its own.
  ['package', /^package\//],
  // Whether the services that the tests talk to behave as the real ones do, which only a change to them can alter.
  ['doubles', /^doubles\//],
  // Other engines on our tables and we on theirs.
  ['interop', /^(?:golden|interop)\//],
  // Calls that fail, power cuts, and processes that are killed or compete.
  ['crashes', /^faults\/|\/kill|competing-writers|two-processes|^databricks\/(?:crashes|faults)\b/],
  // Whole runs: commands and processes from their start to their end, the page's server, and runs into a workspace.
  ['e2e', /^(?:commands|databricks|e2e|page|sample|upgrades)\/|text-log-views/],
]
const long: readonly string[] = ['doubles', 'interop', 'crashes', 'e2e']

const { values, positionals } = parseArgs({
  options: { suite: { type: 'string', multiple: true, default: [] } },
  allowPositionals: true,
})
const wantedSuites = values.suite.flatMap((name) => (name === 'long' ? long : [name]))
const words = positionals.filter((word) => !word.startsWith('!'))
const otherWords = positionals.flatMap((word) => (word.startsWith('!') ? [word.slice(1)] : []))
const suiteOf = (file: string): string | undefined => suites.find(([, pattern]) => pattern.test(file))?.[0]
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => {
    const suite = suiteOf(file)
    if (wantedSuites.length > 0) return suite !== undefined && wantedSuites.includes(suite)
    return words.length > 0 || suite === undefined
  })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .filter((file) => !otherWords.some((word) => file.includes(word)))
  .sort()

if (files.length === 0) {
  console.error(`No test file is of ${[...wantedSuites, ...words].join(' or ')}.`)
  process.exit(2)
}

/**
 * A process spends 2 s of CPU on loading the product and 1 s on loading Azurite. There are still several groups for each
 * of the processes, so that these end at about the same time. A file of whole runs takes a minute.
 */
const maxGroupFiles = files.some((file) => suiteOf(file) === 'e2e') ? 4 : 16
// A process that takes longer than its files may has stopped going on: it is killed and fails, instead of the whole run
// hanging. Long searches for faults are given more. A single test that hangs is ended before: see support/test-timeout.ts.
const maxFileMs = Number(process.env.TAILRACE_TEST_MINUTES ?? 10) * 60_000
/** Files that take several minutes. */
const takesLong =
  /^(?:faults\/(?:power-cuts|every-call)|databricks\/(?:crashes|faults|kill)\b|e2e\/kill|interop\/spark)/
// Many tests wait for other processes, so four at a time take less time even on two cores. The page gives way to all others,
// so it would wait for the browsers of other files.
const processes = files.some((file) => suiteOf(file) === 'browser') ? 2 : 4
/** The longest files that a run of many names at its end. */
const shownFiles = 20
const directory = join(root, 'node_modules', '.cache', 'tailrace-test', String(process.pid))
const journal = join(directory, 'journal')
const fileGroup = new URL('./support/file-group.ts', import.meta.url).href
mkdirSync(directory, { recursive: true })
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

// A start of the command compiles what changed: not within the time that a test gives it.
if (files.some((file) => suiteOf(file) !== undefined))
  spawnSync(process.execPath, [join(root, 'bin/tailrace.js'), '--version'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })

const code = await runGroups(groupsOf(files))
const ended = filesThat('ended')
const unended = filesThat('began').filter((file) => !ended.includes(file))
// The process of a group ended early, so its last files have not begun.
const left = files.filter((file) => !ended.includes(file) && !unended.includes(file))
if (left.length > 0) await runGroups(left.map((file) => [file]))
for (const file of unended)
  console.error(`test/${file} ended its process, or was ended, before its tests were over.`)
if (files.length > shownFiles) console.log(`# longest files: ${longestFiles().join(', ')}`)
process.exitCode = code === 0 && unended.length + left.length > 0 ? 1 : code
// The summary above may be that of the files that ran again.
if (process.exitCode !== 0) console.log('FAILED')

/** Divides files into those of one process each; they run in order, and `processes` of them at the same time. */
function groupsOf(all: readonly string[]): string[][] {
  const alone = all.filter(needsOwnProcess)
  // First, so that none of them is left for itself at the end.
  alone.sort((a, b) => Number(takesLong.test(b)) - Number(takesLong.test(a)))
  const others = all.filter((file) => !alone.includes(file))
  // The files of a folder take about as long as each other, so each group has those of many folders.
  const count = Math.max(Math.ceil(others.length / maxGroupFiles), Math.min(processes, others.length))
  const mixed = Array.from({ length: count }, (_, group) =>
    others.filter((_, index) => index % count === group),
  )
  return [...alone.map((file) => [file]), ...mixed]
}

/**
 * What runs before or after tests does so for every file of a process, memory is measured where nothing else has used
 * any, simulated worlds replace Node's file system, and replaced timers are those of every file.
 */
function needsOwnProcess(file: string): boolean {
  const text = readFileSync(join(root, 'test', file), 'utf8')
  const suite = suiteOf(file)
  return (
    (suite !== undefined && suite !== 'e2e') ||
    file.startsWith('simulation/') ||
    /^(?:before|after)(?:Each)?\(|\bmemoryUsage\(|\bmock\.timers\b/m.test(text)
  )
}

/** Runs each group in a process of its own, and returns the exit code of Node's runner, which starts them. */
async function runGroups(groups: readonly (readonly string[])[]): Promise<number> {
  const modules = groups.map((group, index) => {
    // Node's runner starts them in the order of their names.
    const name = group.length === 1 ? group[0]!.replaceAll('/', '-') : `${group.length} files`
    const path = join(directory, `${String(index + 1).padStart(3, '0')} ${name}.mjs`)
    writeFileSync(
      path,
      `import { runFiles } from ${JSON.stringify(fileGroup)}\nawait runFiles(${JSON.stringify(group)}, ${JSON.stringify(journal)})\n`,
    )
    return path
  })
  const maxProcessMs = maxFileMs * Math.max(...groups.map((group) => group.length))
  const options = ['--test', `--test-concurrency=${processes}`, `--test-timeout=${maxProcessMs}`]
  const preloads = ['--import', 'tsx', '--import', new URL('./support/test-timeout.ts', import.meta.url).href]
  const runner = spawn(process.execPath, [...preloads, ...options, ...modules], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    runner.once('error', reject)
    runner.once('exit', (code) => resolve(code ?? 1))
  })
}

/** Where the time of a run goes: a file that became slow is seen here before the whole run is. */
function longestFiles(): string[] {
  const begins = new Map(eventsOf('began').map(({ file, at }) => [file, at]))
  return eventsOf('ended')
    .map(({ file, at }) => ({ file, seconds: (at - begins.get(file)!) / 1000 }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, shownFiles)
    .map(({ file, seconds }) => `${file} ${seconds.toFixed(0)} s`)
}

function filesThat(event: FileEvent['event']): string[] {
  return eventsOf(event).map(({ file }) => file)
}

function eventsOf(event: FileEvent['event']): FileEvent[] {
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1) : []
  return lines.map((line) => JSON.parse(line) as FileEvent).filter((line) => line.event === event)
}
