import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { TailraceConfig } from './config.ts'
import { TailraceError } from './errors.ts'
import { type ResolvedConfig, resolveConfig } from './resolve-config.ts'

/**
 * Loads a config file and resolves it; paths in it are relative to the working directory.
 *
 * @throws CONFIG_UNREADABLE when it is missing, does not run, or exports no config; CONFIG_INVALID
 */
export async function loadConfig(path: string): Promise<ResolvedConfig> {
  const file = resolve(path)
  if (!(await stat(file).catch(() => undefined))?.isFile()) {
    throw new TailraceError(
      'CONFIG_UNREADABLE',
      `There is no config file at ${file} (working directory ${process.cwd()}).`,
    )
  }
  let loaded: { default?: unknown }
  try {
    loaded = (await import(pathToFileURL(file).href)) as { default?: unknown }
  } catch (error) {
    if (error instanceof TailraceError) throw error
    const told = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
    throw new TailraceError('CONFIG_UNREADABLE', `The config file ${file} failed: ${told}.`, { cause: error })
  }
  if (typeof loaded.default !== 'object' || loaded.default === null) {
    throw new TailraceError(
      'CONFIG_UNREADABLE',
      `${file} has no default export; expected: export default defineConfig({ … }).`,
    )
  }
  return resolveConfig(loaded.default as TailraceConfig, process.cwd())
}
