import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { TailraceError } from '../errors.ts'
import { describeConfigFailure } from './failure.ts'
import type { TailraceConfig } from './options.ts'
import { type ResolvedConfig, resolveConfig } from './resolve.ts'

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
    loaded = await Promise.race([
      import(pathToFileURL(file).href) as Promise<typeof loaded>,
      nothingLeft(file),
    ])
  } catch (error) {
    if (error instanceof TailraceError) throw error
    throw new TailraceError('CONFIG_UNREADABLE', await describeConfigFailure(file, error), { cause: error })
  }
  const found = described(loaded.default)
  if (found !== undefined) {
    throw new TailraceError(
      'CONFIG_UNREADABLE',
      `The default export of ${file} is ${found}; expected: export default defineConfig({ … }).`,
    )
  }
  return resolveConfig(loaded.default as TailraceConfig, process.cwd())
}

/** Rejects when the process has nothing left to do: a config that waits for what never comes would end it in silence. */
function nothingLeft(file: string): Promise<never> {
  return new Promise((_, reject) => {
    process.once('beforeExit', () => {
      reject(
        new TailraceError('CONFIG_UNREADABLE', `The config file ${file} awaits something that never comes.`),
      )
    })
  })
}

/** @returns what a default export is that can be no config */
function described(value: unknown): string | undefined {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (value instanceof Promise) return 'a promise: await it'
  if (typeof value === 'function') return 'a function: export what it returns'
  return typeof value === 'object' ? undefined : `a ${typeof value}`
}
