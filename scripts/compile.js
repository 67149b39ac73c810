// Keeps dist/ of a clone equal to src/: `pnpm start` and the other commands compile what changed before they run, and
// bundle the page.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPage } from './build-page.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const options = join(root, 'tsconfig.build.json')
const state = join(root, 'dist/.tsbuildinfo')
const page = join('page', 'ui')
/** Holds the number of the process that compiles. */
const lock = join(root, 'dist/.compiling')
/** Ten times as long as it takes. */
const maxCompileMs = 120_000

/**
 * Compiles the sources that are newer than their output, and bundles those of the page. Types are not checked:
 * `pnpm typecheck` does that.
 *
 * @returns {boolean} false when there is no compiler, as in a clone with production dependencies only
 */
export function compileChanged() {
  // Directories are among them: their times show that a source was removed.
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const isOfPage = (path) => path === page || path.startsWith(page + sep)
  const pathsOf = (paths) => paths.map((path) => join(root, 'src', path))
  const pageSources = pathsOf(sources.filter(isOfPage))
  const otherSources = [options, ...pathsOf(sources.filter((path) => !isOfPage(path)))]
  const isPageCurrent = () => isNewerThan(join(root, 'dist', page, 'index.html'), pageSources)
  if (isPageCurrent() && isNewerThan(state, otherSources)) return true
  const compiler = findCompiler()
  if (compiler === undefined) return isNewerThan(state, otherSources)
  return alone(() => {
    if (!isPageCurrent()) buildPage()
    compile(compiler, otherSources)
    return true
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

function compile(compiler, sources) {
  if (isNewerThan(state, sources)) return
  const begunAt = new Date()
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', options, '--noCheck'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`The sources of Tailrace do not compile:\n${stdout}${stderr}`)
  // Not the time of the last write: a source may have changed meanwhile.
  utimesSync(state, begunAt, begunAt)
}

function isNewerThan(built, sources) {
  const output = statSync(built, { throwIfNoEntry: false })
  return output !== undefined && sources.every((path) => statSync(path).mtimeMs < output.mtimeMs)
}

function findCompiler() {
  try {
    return join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
  } catch {
    return undefined
  }
}
