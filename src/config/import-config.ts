import module, { createRequire } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { isBundled, ownModule } from '../package.ts'
import * as moduleHooks from './module-hooks.ts'

/** Since Node 22.15; the types are those of the oldest supported release. */
type RegisterHooks = (hooks: { readonly resolve: typeof moduleHooks.resolve }) => void

/** How often each file was imported. */
const loads = new Map<string, number>()

/** The files of the user that the configs of this process consist of. */
const files = new Set<string>()

const commonJsCache = createRequire(import.meta.url).cache

let isHooked = false
let hasTypeScript = false

/**
 * Imports a config, in JavaScript or TypeScript, from a project of any kind. A file that was imported before is evaluated
 * again, with the files that it imports; the earlier modules stay in memory.
 *
 * @throws what its evaluation throws
 */
export async function importConfig(file: string): Promise<{ default?: unknown }> {
  // When Tailrace runs from its sources, a TypeScript loader is there already, and there is only one copy of them.
  if (isBundled) await prepare(file)
  const count = loads.get(file) ?? 0
  loads.set(file, count + 1)
  files.add(file)
  if (count === 0) return import(pathToFileURL(file).href)
  forgetCommonJs()
  return import(`${pathToFileURL(file).href}?load=${count}`)
}

/** @returns the paths of the imported configs, and of the files of the user that they import */
export function configFiles(): readonly string[] {
  addCommonJsFiles()
  return [...files]
}

async function prepare(file: string): Promise<void> {
  // Loaded only for TypeScript: it takes as long as the rest of a start. Node's own way strips types and knows no enums.
  if (!hasTypeScript && /^\.[cm]?ts$/.test(extname(file))) {
    hasTypeScript = true
    // Any config imports these modules, each of which takes several times as long through the loader.
    await import(ownModule('index').href)
    const { register } = await import('tsx/esm/api')
    register()
  }
  if (isHooked) return
  isHooked = true
  const note = (url: string): void => void files.add(fileURLToPath(url))
  const { registerHooks } = module as { readonly registerHooks?: RegisterHooks }
  if (registerHooks !== undefined) {
    moduleHooks.initialize({ port: { postMessage: note } })
    registerHooks({ resolve: moduleHooks.resolve })
    return
  }
  const { port1, port2 } = new MessageChannel()
  port1.on('message', note).unref()
  module.register(ownModule('config/module-hooks'), {
    data: { port: port2 },
    transferList: [port2],
  })
}

/** CommonJS modules are cached by path, whatever the query of their URL. */
function forgetCommonJs(): void {
  addCommonJsFiles()
  for (const path of files) delete commonJsCache[path]
}

/** Adds the files that CommonJS modules have loaded by `require`, which the module hooks do not report. */
function addCommonJsFiles(): void {
  for (const path of files) {
    // The loop also reaches files that it adds, because a set is iterated to its end.
    for (const { filename } of commonJsCache[path]?.children ?? [])
      if (!/[\\/]node_modules[\\/]/.test(filename)) files.add(filename)
  }
}
