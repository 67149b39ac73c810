// Keeps dist/ of a clone equal to src/: `pnpm start` and the other commands bundle the sources before they run, when one
// of them has changed.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPage, canBuildPage } from './page.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bundler = fileURLToPath(new URL('bundle.js', import.meta.url))
/** Its time is that of the last build. */
const state = join(root, 'dist/.built')
const page = join('page', 'ui')
/** Holds the number of the process that compiles. */
const lock = join(root, 'dist/.compiling')
/** Ten times as long as it takes. */
const maxCompileMs = 120_000

/** Bundles the sources that are newer than their output. Types are not checked: `pnpm typecheck` does that. */
export function compileChanged() {
  // Directories are among them: their times show that a source was removed.
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const isOfPage = (path) => path === page || path.startsWith(page + sep)
  const pathsOf = (paths) => paths.map((path) => join(root, 'src', path))
  const pageSources = pathsOf(sources.filter(isOfPage))
  // The file of the package names the releases of the packages in the bundle.
  const otherSources = [
    bundler,
    join(root, 'package.json'),
    ...pathsOf(sources.filter((path) => !isOfPage(path))),
  ]
  const isPageCurrent = () =>
    isNewerThan(join(root, 'dist', page, 'index.html'), pageSources) || !canBuildPage()
  const isCurrent = () => isNewerThan(state, otherSources)
  if (isPageCurrent() && isCurrent()) return
  alone(() => {
    if (!isPageCurrent()) buildPage()
    if (!isCurrent()) compile()
  })
}

/** Does work in one process at a time, because another command would load modules that are half written. */
function alone(work) {
  mkdirSync(join(root, 'dist'), { recursive: true })
  while (!takeLock()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  try {
    return work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function takeLock() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    if (isLeftOver()) rmSync(lock, { force: true })
    return false
  }
}

/** @returns {boolean} whether the process that took the lock was killed; its number may be another process's by now */
function isLeftOver() {
  try {
    const holder = Number(readFileSync(lock, 'utf8'))
    // Between the creation of the file and its content, there is no number.
    if (holder > 0) process.kill(holder, 0)
    return Date.now() - statSync(lock).mtimeMs > maxCompileMs
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

function compile() {
  const begunAt = new Date()
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundler], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`The sources of Tailrace do not compile:\n${stdout}${stderr}`)
  writeFileSync(state, '')
  // Not the time of the last write: a source may have changed meanwhile.
  utimesSync(state, begunAt, begunAt)
}

function isNewerThan(built, sources) {
  const output = statSync(built, { throwIfNoEntry: false })
  return output !== undefined && sources.every((path) => statSync(path).mtimeMs < output.mtimeMs)
}
