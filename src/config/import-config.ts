import module from 'node:module'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as ownModules from './own-modules.ts'

/** Since Node 22.15; the types are those of the oldest supported release. */
type RegisterHooks = (hooks: typeof ownModules) => void

/**
 * Imports a config, in JavaScript or TypeScript, from a project of any kind.
 *
 * @throws what its evaluation throws
 */
export async function importConfig(file: string): Promise<{ default?: unknown }> {
  // When Tailrace runs from its sources, a TypeScript loader is there already, and there is only one copy of them.
  if (import.meta.url.endsWith('.js')) {
    // Loaded only for TypeScript: it takes as long as the rest of a start. Node's own way strips types and knows no enums.
    if (/^\.[cm]?ts$/.test(extname(file))) (await import('tsx/esm/api')).register()
    const { registerHooks } = module as { readonly registerHooks?: RegisterHooks }
    if (registerHooks === undefined) module.register(new URL('own-modules.js', import.meta.url))
    else registerHooks(ownModules)
  }
  return import(pathToFileURL(file).href)
}
