// Bundles the page of `src/page/ui/` into `dist/page/ui/`: one index.html, one script and one style sheet. The names of
// the latter hold a hash of their content, so that a browser may keep them forever.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = join(root, 'src/page/ui')

/**
 * Builds the page anew.
 *
 * @param {string} [target] its directory; what it held before is removed
 * @returns {boolean} false when there is no bundler, as in a clone with production dependencies only
 */
export function buildPage(target = join(root, 'dist/page/ui')) {
  const bundler = findBundler()
  if (bundler === undefined) return false
  const { outputFiles, metafile } = bundler.buildSync({
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
  writeFileSync(join(target, 'licenses.txt'), licensesOf(Object.keys(metafile.inputs)))
  writeFileSync(join(target, 'index.html'), html)
  return true
}

function findBundler() {
  try {
    return createRequire(import.meta.url)('esbuild')
  } catch {
    return undefined
  }
}

/** The licenses of the packages in the bundle ask to be passed on with it. */
function licensesOf(inputs) {
  const folders = new Set(inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []))
  return [...folders]
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
      const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one))
      if (file === undefined) throw new Error(`${name} has no file with its license`)
      return `${name} ${version}\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
    })
    .sort()
    .join(`\n${'-'.repeat(80)}\n\n`)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href && !buildPage(process.argv[2]))
  throw new Error('The page needs the package esbuild: run `pnpm install` first.')
