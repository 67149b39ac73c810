// Node 20's test runner takes no patterns, so the files are found here: `pnpm test`, or `pnpm test batcher delta`
// for those whose path contains one of the words, without those that contain a word behind `!`. Seven suites are run by
// themselves: processes of the command from their start to their end, the contract of the Databricks sink, and the views
// over whole logs of a server (`pnpm test:e2e`); other engines on our tables and we on theirs (`pnpm test:interop`); calls
// that fail, power cuts, and processes that are killed or compete (`pnpm test:crashes`); the packed package in a project of
// its own (`pnpm test:package`); whether the services that the tests talk to behave as the real ones do
// (`pnpm test:doubles`), which only a change to them can alter; what deploy/ holds, with the image built and run
// (`pnpm test:deploy`); and the page in a browser (`pnpm test:browser`). CI runs four of them at once (`pnpm test:long`).
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FileEvent } from './support/file-group.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2).filter((word) => !word.startsWith('!'))
const otherWords = process.argv.slice(2).flatMap((word) => (word.startsWith('!') ? [word.slice(1)] : []))
const isApart = (file: string): boolean =>
  /^(?:browser|deploy|doubles|faults|golden|interop|package)\/|\/kill|competing-writers|two-processes|^databricks\/(?:crashes|faults)\b/.test(
    file,
  )
const isOfRuns = (file: string): boolean =>
  /^(?:e2e|sample|upgrades)\/|^databricks\/contract|text-log-views/.test(file)
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) =>
    words.length === 0 ? !isApart(file) && !isOfRuns(file) : words.some((word) => file.includes(word)),
  )
  .filter((file) => !otherWords.some((word) => file.includes(word)))
  .sort()

if (files.length === 0) {
  console.error(`No test file's path contains ${words.join(' or ')}.`)
  process.exit(2)
}

/**
 * A process spends 2 s of CPU on loading the product and 1 s on loading Azurite. There are still several groups for each
 * of the processes, so that these end at about the same time. A file of whole runs takes a minute.
 */
const maxGroupFiles = files.some(isOfRuns) ? 4 : 16
// A process that takes longer than its files may has stopped going on: it is killed and fails, instead of the whole run
// hanging. Long searches for faults are given more. A single test that hangs is ended before: see support/test-timeout.ts.
const maxFileMs = Number(process.env.TAILRACE_TEST_MINUTES ?? 10) * 60_000
/** Files that take several minutes. */
const takesLong =
  /^(?:faults\/power-cuts|databricks\/(?:crashes|faults|kill)\b|e2e\/kill|interop\/spark-(?:optimize|tables|views))/
// Many tests wait for other processes, so four at a time take less time even on two cores. The page gives way to all others,
// so it would wait for the browsers of other files.
const processes = files.some((file) => file.startsWith('browser/')) ? 2 : 4
/** The longest files that a run of many names at its end. */
const shownFiles = 20
const directory = join(root, 'node_modules', '.cache', 'tailrace-test', String(process.pid))
const journal = join(directory, 'journal')
const fileGroup = new URL('./support/file-group.ts', import.meta.url).href
mkdirSync(directory, { recursive: true })
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

// A start of the command compiles what changed. Several at once would load modules that another one is writing.
if (files.some((file) => /^(?:browser|deploy|e2e|interop|upgrades)\//.test(file)))
  spawnSync(process.execPath, [join(root, 'bin/tailrace.js'), '--version'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })

const code = await runGroups(groupsOf(files))
const ended = eventsOf('ended').map(({ file }) => file)
const unended = eventsOf('began').flatMap(({ file }) => (ended.includes(file) ? [] : [file]))
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
  return (
    isApart(file) ||
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

function eventsOf(event: FileEvent['event']): FileEvent[] {
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1) : []
  return lines.map((line) => JSON.parse(line) as FileEvent).filter((line) => line.event === event)
}
