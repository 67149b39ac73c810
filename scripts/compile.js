// Keeps dist/ of a clone equal to src/: `pnpm start` and the other commands compile what changed before they run, and
// bundle the page.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPage } from './build-page.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const options = join(root, 'tsconfig.build.json')
const state = join(root, 'dist/.tsbuildinfo')
const page = join('page', 'ui')

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
  if (!isNewerThan(join(root, 'dist', page, 'index.html'), pathsOf(sources.filter(isOfPage)))) buildPage()
  return compile([options, ...pathsOf(sources.filter((path) => !isOfPage(path)))])
}

function compile(sources) {
  if (isNewerThan(state, sources)) return true
  const compiler = findCompiler()
  if (compiler === undefined) return false
  const begunAt = new Date()
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', options, '--noCheck'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`The sources of Tailrace do not compile:\n${stdout}${stderr}`)
  // Not the time of the last write: a source may have changed meanwhile.
  utimesSync(state, begunAt, begunAt)
  return true
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
