// Bundles the page of `src/page/ui/` into `dist/page/ui/`: one index.html, one script and one style sheet. The names of
// the latter hold a hash of their content, so that a browser may keep them forever.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { findBundler } from './bundler.js'
import { licensesOf } from './licenses.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const sources = join(root, 'src/page/ui')

/** @returns {boolean} whether the packages of the page are there, unlike in a clone with production dependencies only */
export function canBuildPage() {
  try {
    createRequire(import.meta.url).resolve('preact')
    return true
  } catch {
    return false
  }
}

/**
 * Builds the page anew.
 *
 * @param {string} [target] its directory; what it held before is removed
 */
export function buildPage(target = join(root, 'dist/page/ui')) {
  const { outputFiles, metafile } = findBundler().buildSync({
    absWorkingDir: root,
    entryPoints: ['main.tsx', 'styles/main.css'].map((path) => ({
      in: join(sources, path),
      out: 'tailrace',
    })),
    outdir: target,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    metafile: true,
    write: false,
  })
  const nameOf = (extension) => basename(outputFiles.find(({ path }) => path.endsWith(extension)).path)
  const html = readFileSync(join(sources, 'index.html'), 'utf8')
    .replace('%js%', nameOf('.js'))
    .replace('%css%', nameOf('.css'))
  // Everything is read and bundled by now: a server of the former build misses its files only for a moment.
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target, { recursive: true })
  for (const { path, contents } of outputFiles) writeFileSync(path, contents)
  writeFileSync(join(target, 'tailrace.svg'), readFileSync(join(sources, 'tailrace.svg')))
  writeFileSync(join(target, 'licenses.txt'), licensesOf(root, Object.keys(metafile.inputs)))
  writeFileSync(join(target, 'index.html'), html)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) buildPage(process.argv[2])
