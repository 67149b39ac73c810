import type { ResolveFnOutput, ResolveHookContext } from 'node:module'

// A module hook, which Node 20 runs in a thread of its own: it imports nothing of Tailrace.

/** The compiled modules, of which this is one. */
const compiled = new URL('..', import.meta.url).href

/** What the modules were compiled from; a config of a clone may import from there. */
const sources = new URL('../../src/', import.meta.url).href

/**
 * Resolves imports of Tailrace to the modules of the running process. Otherwise a config could get a second copy, whose
 * errors and declarations are of other classes, or none at all when Tailrace is not installed beside the config.
 */
export function resolve<Resolved>(
  specifier: string,
  context: ResolveHookContext,
  next: (specifier: string, context: ResolveHookContext) => Resolved,
): Resolved | ResolveFnOutput {
  const url = ownModule(specifier, context.parentURL)
  return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
}

function ownModule(specifier: string, parentUrl: string | undefined): string | undefined {
  const [, entry] = /^tailrace(?:\/(transforms|testing))?$/.exec(specifier) ?? [undefined, undefined]
  if (specifier === 'tailrace') return `${compiled}index.js`
  if (entry !== undefined) return `${compiled}${entry}/index.js`
  if (!/^(?:\.|\/|file:)/.test(specifier)) return undefined
  const { href } = new URL(specifier, parentUrl)
  return href.startsWith(sources) && href.endsWith('.ts')
    ? `${compiled}${href.slice(sources.length, -'.ts'.length)}.js`
    : undefined
}
