import callbackFiles from 'node:fs'
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import zlib from 'node:zlib'
import { inflateInPlace } from './inflate-in-place.ts'
import type { CallVerdict, Life, MachineFiles, MemoryNode } from './machine.ts'

/** Paths below it are those of simulated machines: `/simulated/<life>/…`. */
export const simulatedRoot = '/simulated'

/** Decides what becomes of a call. @param writes whether it takes space on the disk */
export type FileRule = (life: Life, call: string, path: string, writes: boolean) => CallVerdict

interface Mount {
  readonly life: Life
  readonly rule: FileRule
}

const mounts = new Map<string, Mount>()

/** Makes a machine's files those of a life: the same files below another path, whose calls end with the life. */
export function mount(life: Life, rule: FileRule): string {
  const root = `${simulatedRoot}/${life.id}`
  life.machine.nodes.set('/', directoryNode(life.clock.now()))
  mounts.set(life.id, { life, rule })
  return root
}

export function unmountAll(): void {
  mounts.clear()
}

interface Place extends Mount {
  readonly path: string
  readonly nodes: MachineFiles['nodes']
}

function placeOf(path: unknown): Place | undefined {
  const [, id, inner] = /^\/simulated\/([^/]+)(.*)$/.exec(posix.normalize(String(path))) ?? []
  const mounted = id === undefined ? undefined : mounts.get(id)
  return mounted && { ...mounted, path: inner === '' ? '/' : inner!, nodes: mounted.life.machine.nodes }
}

/** Bytes of a file by its path; for the table's storage, to which a process gives its files. */
export function takeFile(path: string): Buffer {
  const { nodes, path: inner } = placeOf(path)!
  const node = existing(nodes, inner, 'open')
  nodes.delete(inner)
  return node.bytes
}

/** Bytes of a file by its path, without a call to the file system. */
export function readSimulatedFile(path: string): Buffer {
  const { nodes, path: inner } = placeOf(path)!
  return existing(nodes, inner, 'open').bytes
}

export function giveFile(path: string, bytes: Buffer): void {
  const { nodes, path: inner, life } = placeOf(path)!
  nodes.set(inner, { kind: 'file', bytes, modifiedAtMs: life.clock.now() })
}

/** The content of a machine's file, whatever process runs on it. */
export function contentOf({ nodes }: MachineFiles, path: string): string | undefined {
  return nodes.get(path)?.bytes.toString('utf8')
}

class MemoryHandle {
  #place: Place
  #node: MemoryNode
  #position = 0

  constructor(place: Place, node: MemoryNode) {
    this.#place = place
    this.#node = node
  }

  write(bytes: Buffer, from: number, length: number, position: number) {
    return this.#call('write', true, () => {
      this.#put(bytes.subarray(from, from + length), position)
      return { bytesWritten: length, buffer: bytes }
    })
  }

  writeFile(data: Buffer | string) {
    return this.#call('writeFile', true, () => {
      const bytes = Buffer.from(data as string)
      this.#put(bytes, this.#position)
      this.#position += bytes.length
    })
  }

  read(buffer: Buffer, offset: number, length: number, position: number) {
    return this.#call('read', false, () => {
      const bytesRead = this.#node.bytes.copy(buffer, offset, position, position + length)
      return { bytesRead, buffer }
    })
  }

  sync() {
    return this.#call('sync', false, () => {})
  }

  close() {
    return this.#call('close', false, () => {})
  }

  #put(bytes: Buffer, position: number): void {
    const node = this.#node
    const end = position + bytes.length
    if (end > node.bytes.length)
      node.bytes = Buffer.concat([node.bytes, Buffer.alloc(end - node.bytes.length)])
    bytes.copy(node.bytes, position)
    node.modifiedAtMs = this.#place.life.clock.now()
  }

  #call<T>(name: string, writes: boolean, effect: () => T): Promise<T> {
    const { life, rule, path } = this.#place
    return life.call(rule(life, `file.${name}`, path, writes), effect)
  }
}

type AnyFunction = (...args: never[]) => unknown
type Calls = Readonly<Record<string, (place: Place, ...args: unknown[]) => unknown>>

/** What the product asks of `node:fs/promises`, as far as a simulated pipeline comes by. */
const calls: Calls = {
  open: (place, flags) => {
    const { nodes, path, life } = place
    const mode = String(flags)
    let node = nodes.get(path)
    if (node === undefined) {
      if (mode.startsWith('r')) throw systemError('ENOENT', 'open', path)
      requireParent(nodes, path, 'open')
      node = { kind: 'file', bytes: Buffer.alloc(0), modifiedAtMs: life.clock.now() }
      nodes.set(path, node)
    } else if (mode.includes('x')) throw systemError('EEXIST', 'open', path)
    else if (mode.startsWith('w')) node.bytes = Buffer.alloc(0)
    return new MemoryHandle(place, node)
  },
  mkdir: ({ nodes, path, life }, options) => {
    const isRecursive = (options as { recursive?: boolean } | undefined)?.recursive === true
    if (nodes.has(path)) {
      if (isRecursive) return
      throw systemError('EEXIST', 'mkdir', path)
    }
    requireParent(nodes, path, 'mkdir')
    nodes.set(path, directoryNode(life.clock.now()))
  },
  readFile: ({ nodes, path }, encoding) => {
    const { bytes } = existing(nodes, path, 'open')
    return encoding === undefined ? Buffer.from(bytes) : bytes.toString(encoding as BufferEncoding)
  },
  writeFile: ({ nodes, path, life }, data) => {
    requireParent(nodes, path, 'open')
    nodes.set(path, { kind: 'file', bytes: Buffer.from(data as Buffer), modifiedAtMs: life.clock.now() })
  },
  rename: ({ nodes, path }, to) => {
    const node = existing(nodes, path, 'rename')
    nodes.delete(path)
    nodes.set(placeOf(to)!.path, node)
  },
  rm: ({ nodes, path }, options) => {
    if (!nodes.has(path) && (options as { force?: boolean }).force !== true)
      throw systemError('ENOENT', 'rm', path)
    for (const name of nodes.keys()) if (name === path || name.startsWith(`${path}/`)) nodes.delete(name)
  },
  readdir: ({ nodes, path }) => {
    existing(nodes, path, 'scandir')
    return [...nodes.keys()]
      .filter((name) => posix.dirname(name) === path && name !== path)
      .map((name) => posix.basename(name))
  },
  stat: ({ nodes, path }) => {
    const { kind, bytes, modifiedAtMs } = existing(nodes, path, 'stat')
    return {
      isDirectory: () => kind === 'directory',
      isFile: () => kind === 'file',
      mtimeMs: modifiedAtMs,
      size: bytes.length,
      dev: 1,
    }
  },
}

const takingSpace = new Set(['open', 'mkdir', 'writeFile'])

let isInstalled = false

/**
 * Puts the files of simulated machines, and an inflater that needs no thread, in the place of Node's own for this whole
 * process: calls end within the turn of the event loop in which they were made, so virtual time cannot overtake them.
 */
export function installMemoryFiles(): void {
  if (isInstalled) return
  isInstalled = true
  const own = files as unknown as Record<string, AnyFunction>
  for (const [name, call] of Object.entries(calls)) {
    const original = own[name] as (...args: unknown[]) => unknown
    own[name] = (...args: unknown[]) => {
      const place = placeOf(args[0])
      if (place === undefined) return original(...args)
      const { life, rule, path } = place
      const writes = takingSpace.has(name) && !String(args[1]).startsWith('r')
      return life.call(rule(life, name, path, writes), () => call(place, ...args.slice(1)))
    }
  }
  const { createReadStream } = callbackFiles
  callbackFiles.createReadStream = ((path: string, ...rest: []) => {
    const place = placeOf(path)
    if (place === undefined) return createReadStream(path, ...rest)
    return Readable.from([existing(place.nodes, place.path, 'open').bytes])
  }) as typeof createReadStream
  Object.defineProperty(zlib, 'createInflateRaw', { value: inflateInPlace })
  syncBuiltinESMExports()
}

export function systemError(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${call} '${path}'`), { code, syscall: call, path })
}

function existing(nodes: MachineFiles['nodes'], path: string, call: string): MemoryNode {
  const node = nodes.get(path)
  if (node === undefined) throw systemError('ENOENT', call, path)
  return node
}

function requireParent(nodes: MachineFiles['nodes'], path: string, call: string): void {
  if (nodes.get(posix.dirname(path))?.kind !== 'directory') throw systemError('ENOENT', call, path)
}

function directoryNode(modifiedAtMs: number): MemoryNode {
  return { kind: 'directory', bytes: Buffer.alloc(0), modifiedAtMs }
}
