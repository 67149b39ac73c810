// Keeps dist/ of a clone equal to src/: `pnpm start` and the other commands compile what changed before they run.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const options = join(root, 'tsconfig.build.json')
const state = join(root, 'dist/.tsbuildinfo')

/**
 * Compiles the sources that are newer than their output. Types are not checked: `pnpm typecheck` does that.
 *
 * @returns {boolean} false when there is no compiler, as in a clone with production dependencies only
 */
export function compileChanged() {
  if (isUpToDate()) return true
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

function isUpToDate() {
  const compiled = statSync(state, { throwIfNoEntry: false })
  if (compiled === undefined) return false
  // Directories are among them: their times show that a source was removed.
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  return [options, ...sources.map((path) => join(root, 'src', path))].every(
    (path) => statSync(path).mtimeMs < compiled.mtimeMs,
  )
}

function findCompiler() {
  try {
    return join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
  } catch {
    return undefined
  }
}
