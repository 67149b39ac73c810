import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'

/** Calls of `node:fs/promises` and of its file handles that are watched. */
const pathCalls = [
  'access',
  'copyFile',
  'link',
  'lstat',
  'mkdir',
  'mkdtemp',
  'open',
  'readFile',
  'readdir',
  'rename',
  'rm',
  'stat',
  'unlink',
  'writeFile',
] as const
const handleCalls = [
  'datasync',
  'read',
  'readFile',
  'stat',
  'sync',
  'truncate',
  'write',
  'writeFile',
] as const
type HandleCall = (typeof handleCalls)[number] | 'close'

/** One call to the file system. */
export interface FileCall {
  /** The function's name; that of a file handle begins with `file.`. */
  readonly name: (typeof pathCalls)[number] | `file.${HandleCall}`
  /** The path; of a handle, the path it was opened with; of a rename, a link or a copy, the new one. */
  readonly path: string
  /** The old path of a rename, a link or a copy. */
  readonly from?: string
}

export interface FileCallWatcher {
  /**
   * Hears of a call before it is made. What it throws is how the call ends, without having been made.
   *
   * @returns for `file.write` only: the bytes that this call is to write at most
   */
  before?(call: FileCall): number | undefined
  /** Hears of a call that has succeeded, before its caller does. */
  after?(call: FileCall): void
}

type AnyFunction = (...args: unknown[]) => Promise<unknown>

const original = { ...fs } as unknown as Record<string, AnyFunction>
const paths = new WeakMap<object, string>()

/**
 * Watches every call that this process makes through `node:fs/promises`, whoever makes it, until the test ends or
 * the returned function is called. The engine's own files are not seen.
 */
export async function watchFileCalls(
  t: Pick<TestContext, 'after'>,
  watcher: FileCallWatcher,
): Promise<() => void> {
  const handles = await handlePrototype()
  const originalHandles = Object.fromEntries(handleCalls.map((name) => [name, handles[name] as AnyFunction]))
  for (const name of pathCalls) {
    ;(fs as unknown as Record<string, AnyFunction>)[name] = watchedPathCall(name, watcher)
  }
  for (const name of handleCalls) {
    handles[name] = watchedHandleCall(name, originalHandles[name] as AnyFunction, watcher)
  }
  // For the modules that have imported the functions by name.
  syncBuiltinESMExports()
  const restore = (): void => {
    Object.assign(fs, Object.fromEntries(pathCalls.map((name) => [name, original[name]])))
    Object.assign(handles, originalHandles)
    syncBuiltinESMExports()
  }
  t.after(restore)
  return restore
}

/** @returns the error of a failed system call, as Node makes it */
export function systemError(code: string, { name, path }: FileCall): Error {
  const error = new Error(`${code}: injected, ${name} '${path}'`)
  return Object.assign(error, { code, syscall: name.replace('file.', ''), path })
}

function watchedPathCall(name: (typeof pathCalls)[number], watcher: FileCallWatcher): AnyFunction {
  const make = original[name] as AnyFunction
  const hasTwoPaths = name === 'rename' || name === 'link' || name === 'copyFile'
  return async (...args) => {
    const call: FileCall = hasTwoPaths
      ? { name, path: String(args[1]), from: String(args[0]) }
      : { name, path: String(args[0]) }
    watcher.before?.(call)
    const result = await make(...args)
    if (name === 'open') {
      const handle = result as Record<string, AnyFunction>
      paths.set(handle, call.path)
      // Each handle has a function of its own for it.
      handle.close = watchedHandleCall('close', handle.close as AnyFunction, watcher)
    }
    watcher.after?.(call)
    return result
  }
}

function watchedHandleCall(name: HandleCall, make: AnyFunction, watcher: FileCallWatcher): AnyFunction {
  return async function (this: object, ...args) {
    const path = paths.get(this)
    // A handle that was opened before the watch began.
    if (path === undefined) return make.apply(this, args)
    const call: FileCall = { name: `file.${name}`, path }
    try {
      const maxBytes = watcher.before?.(call)
      if (maxBytes !== undefined && name === 'write') args[2] = Math.min(Number(args[2]), maxBytes)
    } catch (error) {
      // A close that fails has closed the descriptor all the same.
      if (name === 'close') await make.apply(this, args)
      throw error
    }
    const result = await make.apply(this, args)
    watcher.after?.(call)
    return result
  }
}

async function handlePrototype(): Promise<Record<string, AnyFunction>> {
  const file = (await original.open?.('/dev/null', 'r')) as FileHandle
  await file.close()
  return Object.getPrototypeOf(file) as Record<string, AnyFunction>
}
