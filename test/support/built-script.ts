import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
/** Below the project, so that packages are found. */
const cache = join(root, 'node_modules', '.cache', 'tailrace-test')
const directory = join(cache, String(process.pid))
const index = join(root, 'src', 'index.ts')
const bundler = join(root, 'scripts', 'build', 'bundle.js')
const tsxPackage = require.resolve('tsx/package.json')
const builtScripts = new Map<string, BuiltScript>()

/** The variable by which a config that `writeProject` wrote finds the public API of the script that loads it. */
export const apiVariable = 'BUILT_TAILRACE'

/** A script that was built, beside what a config needs to share its modules. */
interface BuiltScript {
  /** Path of the script. */
  readonly script: string
  /** URL of the public API of the same compilation. */
  readonly api: string
  /** Module to import before a script that loads a config in TypeScript, or one that imports the sources. */
  readonly hooks: string
}

/**
 * Compiles one of this project's scripts, which loads no config, for a Node that knows nothing of TypeScript.
 *
 * A process spends more than a second of CPU on the TypeScript loader, and the tests start hundreds of them. It runs
 * the same sources in the same order, with the same packages.
 *
 * @returns the arguments of `node` that run it; the files are there as long as this process
 */
export function builtScript(script: string): readonly string[] {
  return [build(script).script]
}

/**
 * Compiles a script that loads a config. The config gets the public API of the same compilation.
 *
 * @returns the arguments of `node`, and its environment
 */
export function builtCommand(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const built = build(script)
  // Hooks run on a thread of their own, whose start takes a quarter of a second of CPU.
  const needsHooks = ![...args, env.TAILRACE_CONFIG ?? ''].some(
    (path) => path.endsWith('.mjs') && existsSync(path) && readFileSync(path, 'utf8').includes(apiVariable),
  )
  return {
    args: [...(needsHooks ? ['--import', built.hooks] : []), built.script, ...args],
    env: { ...env, [apiVariable]: built.api },
  }
}

function build(script: string): BuiltScript {
  const known = builtScripts.get(script)
  if (known !== undefined) return known
  if (builtScripts.size === 0) {
    removeLeftovers()
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  }
  const name = basename(script, '.ts')
  const outdir = join(directory, name)
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      bundler,
      JSON.stringify({
        // Script and config share what both import: a table or an error is then of the same class in both.
        entryPoints: { script, index },
        outdir,
        suffix: '.mjs',
        // As modules that are not bundled: they have the product load its other modules from the sources.
        define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(root, 'src', 'built.ts')).href) },
      }),
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`${script} cannot be bundled:\n${stderr}`)
  const api = pathToFileURL(join(outdir, 'index.mjs')).href
  const hooks = `import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
export const resolve = async (specifier, context, next) => {
  const found = await next(specifier, context)
  return found.url === ${JSON.stringify(pathToFileURL(index).href)}
    ? { url: ${JSON.stringify(api)}, shortCircuit: true }
    : found
}
export const load = async (url, context, next) => {
  if (!url.split('?')[0].endsWith('.ts')) return next(url, context)
  const { transformSync } = createRequire(${JSON.stringify(tsxPackage)})('esbuild')
  const source = transformSync(readFileSync(fileURLToPath(url), 'utf8'), { loader: 'ts', format: 'esm', target: 'node20' })
  return { format: 'module', source: source.code, shortCircuit: true }
}`
  mkdirSync(outdir, { recursive: true })
  const register = join(outdir, 'register.mjs')
  writeFileSync(
    register,
    `import { register } from 'node:module'\nregister(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})\n`,
  )
  const made = { script: join(outdir, 'script.mjs'), api, hooks: pathToFileURL(register).href }
  builtScripts.set(script, made)
  return made
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
