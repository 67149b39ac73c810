import type { ResolveFnOutput, ResolveHookContext } from 'node:module'

// A module hook, which Node 20 runs in a thread of its own: it imports nothing of Tailrace.

/** The compiled modules, of which this is one. */
const compiled = new URL('..', import.meta.url).href

/** What the modules were compiled from; a config of a clone may import from there. */
const sources = new URL('../../src/', import.meta.url).href

/** As `exports` of the package file. */
const entryPoints = new Map([
  ['tailrace', 'index.js'],
  ['tailrace/transforms', 'transforms/index.js'],
  ['tailrace/testing', 'streams/testing.js'],
])

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
  const url = ownModule(specifier, context.parentURL)
  if (url !== undefined) return { url, shortCircuit: true }
  const found = next(specifier, context)
  return found instanceof Promise ? found.then(asEsModule) : asEsModule(found)
}

function asEsModule(found: ResolveFnOutput): ResolveFnOutput {
  return /\.m?ts(?:\?|$)/.test(found.url) ? { ...found, format: 'module' } : found
}

function ownModule(specifier: string, parentUrl: string | undefined): string | undefined {
  const entry = entryPoints.get(specifier)
  if (entry !== undefined) return compiled + entry
  if (!/^(?:\.|\/|file:)/.test(specifier)) return undefined
  const { href } = new URL(specifier, parentUrl)
  return href.startsWith(sources) && href.endsWith('.ts')
    ? `${compiled}${href.slice(sources.length, -'.ts'.length)}.js`
    : undefined
}
