// Bundles the modules of `src/` with the packages that they import. One by one, they and the packages' are nearly a thousand
// files, and to find, read and link these takes a process longer than to open its tables.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { findBundler } from './bundler.js'
import { licensesOf } from './licenses.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Packages with binaries or files of their own, and those that are installed only where a config needs them. */
const external = ['@duckdb/node-bindings', 'pino', 'pino-pretty', 'tsx', ...Object.keys(peerDependencies)]

/**
 * Packages that a source requires, because from files of their own their CommonJS builds load fastest. A bundle imports them,
 * and takes what is used of their ES modules where they have some.
 */
const required = /createRequire\(import\.meta\.url\)\('(@azure\/storage-blob|@duckdb\/node-api|zod)'\)/

/** What is imported by name or started by path; the rest is in `chunks/`. */
const entryPoints = [
  'cli',
  'index',
  'transforms/index',
  'run/testing',
  'config/module-hooks',
  'commands/paging/page-process',
]

/** Chunks of former builds stay this long, because a process that still runs may load them. */
const maxChunkAgeMs = 86_400_000

/**
 * Bundles modules so that those of one target share what they have in common: an error is of the same class in all of them.
 *
 * @param {object} target
 * @param {Readonly<Record<string, string>>} target.entryPoints paths of modules by the paths of their output, without suffix
 * @param {string} target.outdir
 * @param {string} [target.suffix] of the output
 * @param {Readonly<Record<string, string>>} [target.define] expressions that are replaced
 * @returns {Promise<{ inputs: readonly string[], outputs: readonly string[] }>} paths of the bundled modules and of the
 * written files, relative to the project
 */
async function bundle({ entryPoints, outdir, suffix = '.js', define = {} }) {
  const { metafile } = await findBundler().build({
    absWorkingDir: root,
    entryPoints,
    outdir,
    outExtension: { '.js': suffix },
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external,
    define,
    // Bundled CommonJS modules require modules of Node.
    banner: {
      js: "import { createRequire as createBundleRequire } from 'node:module'\nconst require = createBundleRequire(import.meta.url)",
    },
    metafile: true,
    logLevel: 'warning',
    plugins: [
      {
        name: 'imports',
        setup: (build) =>
          build.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
            const source = readFileSync(path, 'utf8')
            const [call, name] = required.exec(source) ?? []
            if (call === undefined) return undefined
            const contents = `import * as required from '${name}'\n${source.replace(call, 'required')}`
            return { contents, loader: 'ts' }
          }),
      },
    ],
  })
  return { inputs: Object.keys(metafile.inputs), outputs: Object.keys(metafile.outputs) }
}

/** Bundles the product into `dist/`. */
async function bundleProduct() {
  const outdir = join(root, 'dist')
  const { inputs, outputs } = await bundle({
    entryPoints: Object.fromEntries(entryPoints.map((name) => [name, join(root, 'src', `${name}.ts`)])),
    outdir,
  })
  writeFileSync(join(outdir, 'licenses.txt'), licensesOf(root, inputs))
  const written = new Set(outputs.map((path) => join(root, path)))
  for (const name of readdirSync(join(outdir, 'chunks'))) {
    const path = join(outdir, 'chunks', name)
    if (!written.has(path) && Date.now() - statSync(path).mtimeMs > maxChunkAgeMs) rmSync(path)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [target] = process.argv.slice(2)
  await (target === undefined ? bundleProduct() : bundle(JSON.parse(target)))
}
