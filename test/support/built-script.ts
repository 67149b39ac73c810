import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
/** Below the project, so that packages are found. */
const cache = join(root, 'node_modules', '.cache', 'tailrace-test')
const directory = join(cache, String(process.pid))
const index = join(root, 'src', 'index.ts')
const built = new Map<string, readonly string[]>()

/** What is used of esbuild, which comes with tsx and does the same work in it. */
interface Esbuild {
  buildSync(options: Readonly<Record<string, unknown>>): unknown
}

/**
 * Compiles one of this project's scripts for a Node that knows nothing of TypeScript.
 *
 * A process spends more than a second of CPU on the TypeScript loader, and the tests start a hundred of them. It runs
 * the same sources in the same order, with the same packages; a config gets the public API of the same compilation.
 *
 * @returns the arguments of `node` that run it; the files are there as long as this process
 */
export function builtScript(script: string): readonly string[] {
  const known = built.get(script)
  if (known !== undefined) return known
  if (built.size === 0) {
    removeLeftovers()
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  }
  const name = basename(script, '.ts')
  const outdir = join(directory, name)
  const esbuild = createRequire(require.resolve('tsx/package.json'))('esbuild') as Esbuild
  esbuild.buildSync({
    entryPoints: { script, index },
    bundle: true,
    // Script and config share what both import: a table or an error is then of the same class in both.
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outdir,
    outExtension: { '.js': '.mjs' },
    // The sources look for packages and for the sample's logs from where they are; no script looks for anything.
    define: {
      'import.meta.url': JSON.stringify(
        pathToFileURL(join(root, 'src', 'sources', 'embedded', 'built.ts')).href,
      ),
    },
  })
  const hooks = `export const resolve = (specifier, context, next) =>
    specifier === ${JSON.stringify(pathToFileURL(index).href)}
      ? { url: ${JSON.stringify(pathToFileURL(join(outdir, 'index.mjs')).href)}, shortCircuit: true }
      : next(specifier, context)`
  mkdirSync(outdir, { recursive: true })
  const register = join(outdir, 'register.mjs')
  writeFileSync(
    register,
    `import { register } from 'node:module'\nregister(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})\n`,
  )
  const args = ['--import', pathToFileURL(register).href, join(outdir, 'script.mjs')]
  built.set(script, args)
  return args
}

/** A process that is killed leaves its files behind. */
function removeLeftovers(): void {
  for (const pid of existsSync(cache) ? readdirSync(cache) : []) {
    try {
      process.kill(Number(pid), 0)
    } catch {
      rmSync(join(cache, pid), { recursive: true, force: true })
    }
  }
}
