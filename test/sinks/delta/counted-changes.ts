import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { relative, sep } from 'node:path'
import type { RequestPolicyFactory } from '@azure/storage-blob'

const uuids = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** The instants that name archives. */
const instants = /\b\d{16}(?=\.json)/

/** Keeps what has stopped from being garbage, so that no file of it is closed. */
const stopped: (() => void)[] = []

/** The changes that are made to one table, one at a time, until a limit: after it, and within it, nothing goes on. */
export class CountedChanges {
  /** What was done, in order, with `*` for what is random in a name. */
  readonly done: string[] = []
  /** Resolves when the limit is reached. */
  readonly reached: Promise<void>
  readonly #limit: number
  #stop: () => void = () => {}
  #last: Promise<unknown> = Promise.resolve()

  /** @param limit how many changes are made */
  constructor(limit: number) {
    this.#limit = limit
    this.reached = new Promise((resolve) => {
      this.#stop = resolve
    })
  }

  /**
   * Makes a change when all before it are made, and never answers once the limit is reached.
   *
   * @param changed whether a call with this result has changed anything
   */
  make<T>(what: string, change: () => Promise<T>, changed: (result: T) => boolean = () => true): Promise<T> {
    const made = this.#last.then(async () => {
      await this.#pastLimit()
      const result = await change()
      if (changed(result)) {
        this.done.push(what.replace(uuids, '*').replace(instants, '*'))
        await this.#pastLimit()
      }
      return result
    })
    this.#last = made.catch(() => {})
    return made
  }

  async #pastLimit(): Promise<void> {
    if (this.done.length < this.#limit) return
    this.#stop()
    await new Promise<void>((resolve) => stopped.push(resolve))
  }
}

/** A table in a directory of this machine. */
interface CountedTable {
  readonly root: string
  readonly changes: CountedChanges
  /** Whether everything outside of it is as if on another volume. */
  readonly isVolume: boolean
}

const tables: CountedTable[] = []
const original = { ...fs }

/**
 * From now on, every call that changes a file of this table is a change, whoever makes it. A write is two: each of
 * one half.
 */
export function countFileChanges(table: CountedTable): void {
  tables.push(table)
  Object.assign(fs, counted)
  // For those who have imported them by name.
  syncBuiltinESMExports()
}

function tableAt(path: string): CountedTable | undefined {
  return tables.find(({ root }) => `${path}${sep}`.startsWith(`${root}${sep}`))
}

function change<T>(verb: string, path: string, call: () => Promise<T>, changed?: (result: T) => boolean) {
  const table = tableAt(path)
  if (table === undefined) return call()
  return table.changes.make(`${verb} ${relative(table.root, path).replaceAll(sep, '/')}`, call, changed)
}

/** The calls by which a table in a directory is changed, with the arguments that they have there. */
const counted = {
  link: (from: string, to: string) => change('link', to, () => original.link(from, to)),
  unlink: (path: string) => change('unlink', path, () => original.unlink(path)),
  rm: (path: string, options?: { recursive?: boolean; force?: boolean }) =>
    change('rm', path, () => original.rm(path, options)),
  mkdir: (path: string, options?: { recursive: true }) =>
    change(
      'mkdir',
      path,
      () => original.mkdir(path, options),
      (first) => first !== undefined,
    ),
  rename: async (from: string, to: string) => {
    const [source, target] = [tableAt(from), tableAt(to)]
    if (source !== target && (source ?? target)?.isVolume) {
      throw Object.assign(new Error('These are two volumes.'), { code: 'EXDEV' })
    }
    return change('rename', to, () => original.rename(from, to))
  },
  copyFile: async (from: string, to: string) => {
    const bytes = await original.readFile(from)
    await change('copy half of', to, () => original.writeFile(to, bytes.subarray(0, bytes.length / 2)))
    await change('copy', to, () => original.copyFile(from, to))
  },
  open: async (path: string, flags?: string) => {
    if (flags !== 'wx') return original.open(path, flags)
    const file = await change('create', path, () => original.open(path, flags))
    const write = file.writeFile.bind(file)
    file.writeFile = async (data) => {
      const bytes = data as Buffer
      if (bytes.length === 0) return
      const middle = bytes.length / 2
      await change('write half of', path, () => write(bytes.subarray(0, middle)))
      await change('write', path, () => write(bytes.subarray(middle)))
    }
    return file
  },
}

/** A step of the SDK's pipeline with which every request is a change that is not only a question. */
export function countRequests(folder: string, changes: CountedChanges): RequestPolicyFactory {
  return {
    create: (next) => ({
      sendRequest: (request) => {
        if (request.method === 'GET' || request.method === 'HEAD') return next.sendRequest(request)
        const { pathname, searchParams } = new URL(request.url)
        const name = decodeURIComponent(pathname).split(`${folder}/`)[1]
        const what = searchParams.get('comp') ?? 'blob'
        return changes.make(`${request.method} ${what} ${name}`, () => next.sendRequest(request))
      },
    }),
  }
}
