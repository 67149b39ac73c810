import type { ResolveFnOutput, ResolveHookContext } from 'node:module'

// Module hooks, which Node 20 runs in a thread of its own: they import nothing of Tailrace.

/** The modules of Tailrace, of which this is one, bundled or not: all folders that it may be in are directly in this one. */
const ownRoot = new URL('..', import.meta.url).href

const isBundled = import.meta.url.endsWith('.js')

/** What the modules were bundled from; a config of a clone may import from there. */
const sources = new URL('../../src/', import.meta.url).href

/** As `exports` of the package file. */
const entryPoints = new Map([
  ['tailrace', 'index'],
  ['tailrace/transforms', 'transforms/index'],
  ['tailrace/testing', 'run/testing'],
])

/**
 * The query in the URL of a config that is loaded again. Node caches modules by URL, so the modules that the config imports
 * get the same query.
 */
const loadQuery = /[?&]load=\d+$/

/** Receives the URL of each module of the user that a config imports. */
export interface ModuleReports {
  readonly port: { postMessage(url: string): void }
}

let reports: ModuleReports | undefined

/** Called by Node in the thread of the hooks, and by `importConfig` where there is none. */
export function initialize(given: ModuleReports): void {
  reports = given
}

/**
 * Resolves imports of Tailrace to the modules of the running process. Otherwise a config could get a second copy, whose
 * errors and declarations are of other classes, or none at all when Tailrace is not installed beside the config.
 *
 * Every other module in TypeScript is an ES module, whatever the package file beside it says: `npm init` writes that a
 * project's modules are CommonJS, and a config can await.
 */
export function resolve<Next extends ResolveFnOutput | Promise<ResolveFnOutput>>(
  specifier: string,
  context: ResolveHookContext,
  next: (specifier: string, context: ResolveHookContext) => Next,
): Next | ResolveFnOutput | Promise<ResolveFnOutput> {
  const url = isBundled ? ownModule(specifier, context.parentURL) : undefined
  if (url !== undefined) return { url, shortCircuit: true }
  const found = next(specifier, context)
  return found instanceof Promise
    ? found.then((one) => asUserModule(one, context))
    : asUserModule(found, context)
}

function asUserModule(found: ResolveFnOutput, { parentURL }: ResolveHookContext): ResolveFnOutput {
  const module = isBundled ? asEsModule(found) : found
  if (!isOfUser(module.url) || parentURL === undefined || !isOfUser(parentURL)) return module
  reports?.port.postMessage(module.url)
  const query = loadQuery.exec(parentURL)?.[0]
  return query === undefined || loadQuery.test(module.url)
    ? module
    : { ...module, url: `${module.url}${module.url.includes('?') ? '&' : '?'}${query.slice(1)}` }
}

/** The path of a module in TypeScript, and the query behind it, which the TypeScript loader may have encoded. */
const typeScript = /^(.*?\.m?ts)((?:\?|%3F).*)?$/

function asEsModule(found: ResolveFnOutput): ResolveFnOutput {
  const [, path, query = ''] = typeScript.exec(found.url) ?? []
  if (path === undefined) return found
  // The loader appends queries of its own to a module that it takes for CommonJS.
  const isMarked = query.includes('tsx-')
  const own = /load=\d+/.exec(query)?.[0]
  return {
    ...found,
    url: isMarked ? path + (own === undefined ? '' : `?${own}`) : found.url,
    format: 'module',
  }
}

/** Packages, and the modules of the running process, stay as they are for as long as it runs. */
function isOfUser(url: string): boolean {
  return url.startsWith('file:') && !url.includes('/node_modules/') && !url.startsWith(ownRoot)
}

function ownModule(specifier: string, parentUrl: string | undefined): string | undefined {
  const entry = entryPoints.get(specifier)
  if (entry !== undefined) return `${ownRoot}${entry}.js`
  if (!/^(?:\.|\/|file:)/.test(specifier)) return undefined
  const { href } = new URL(specifier, parentUrl)
  if (!href.startsWith(sources) || !href.endsWith('.ts')) return undefined
  const path = href.slice(sources.length, -'.ts'.length)
  const publicPaths = [...entryPoints.values()]
  if (publicPaths.includes(path)) return `${ownRoot}${path}.js`
  throw new Error(
    `${specifier} is an inner module of Tailrace, of which the config would get a second copy: import from ${publicPaths.map((one) => `src/${one}.ts`).join(', ')}.`,
  )
}
