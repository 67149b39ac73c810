import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { TailraceError } from '../errors.ts'
import { withEnvironment } from './environment-options.ts'
import { describeConfigFailure } from './failure.ts'
import { importConfig } from './import-config.ts'
import type { TailraceConfig } from './options.ts'
import { resolveConfig } from './resolve.ts'
import type { ResolvedConfig } from './resolved.ts'

/**
 * Loads and resolves a config file, with the options that the environment sets. Relative paths are resolved against the
 * working directory.
 *
 * @param flags options of the command line
 * @throws CONFIG_UNREADABLE when the file is missing, fails to run, or exports no config
 * @throws CONFIG_INVALID
 */
export async function loadConfig(
  path: string,
  flags?: Pick<TailraceConfig, 'shard'>,
): Promise<ResolvedConfig> {
  const file = resolve(path)
  if (!(await stat(file).catch(() => undefined))?.isFile()) {
    throw new TailraceError(
      'CONFIG_UNREADABLE',
      `There is no config file at ${file} (working directory ${process.cwd()}).`,
    )
  }
  let loaded: { default?: unknown }
  try {
    loaded = await orWhenIdle(importConfig(file), file)
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
  return resolveConfig(withEnvironment(loaded.default as TailraceConfig, undefined, flags), process.cwd())
}

/** Rejects when the event loop is empty: a config that awaits a promise that never settles would end the process silently. */
async function orWhenIdle<T>(loading: Promise<T>, file: string): Promise<T> {
  let giveUp: () => void = () => {}
  const idle = new Promise<never>((_, reject) => {
    giveUp = () =>
      reject(
        new TailraceError(
          'CONFIG_UNREADABLE',
          `The config file ${file} awaits a promise that never settles.`,
        ),
      )
    process.once('beforeExit', giveUp)
  })
  try {
    return await Promise.race([loading, idle])
  } finally {
    process.off('beforeExit', giveUp)
  }
}

/** @returns a description of a default export that cannot be a config; undefined for an object */
function described(value: unknown): string | undefined {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (value instanceof Promise) return 'a promise: await it'
  if (typeof value === 'function') return 'a function: export what it returns'
  return typeof value === 'object' ? undefined : `a ${typeof value}`
}
