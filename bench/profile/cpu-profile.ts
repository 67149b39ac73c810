import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { projectDirectory } from '../measured-process.ts'

/** The parts of a `.cpuprofile` that V8 writes. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

type NameOfFrame = (frame: CpuProfile['nodes'][number]['callFrame']) => string

/** Self time by name, the longest first. */
export type SelfTimes = readonly (readonly [name: string, seconds: number])[]

const idle = '(idle)'

/** A regular expression's name is its whole pattern. */
const maxNameLength = 80

/** @returns the part of the time, 0 to 1, in which the thread waited for events */
export function idleShare(profile: CpuProfile): number {
  const times = [...secondsBy(profile, ({ functionName }) => functionName)]
  const all = times.reduce((sum, [, seconds]) => sum + seconds, 0)
  return (times.find(([name]) => name === idle)?.[1] ?? 0) / all
}

/** @returns the time that the thread was not idle, by folder of Tailrace, package, or part of Node and V8 */
export function selfTimesByPart(profile: CpuProfile): SelfTimes {
  return sumBy(profile, ({ functionName, url, lineNumber }) => partOf(functionName, url, lineNumber))
}

/** @returns the same by function */
export function selfTimesByFunction(profile: CpuProfile): SelfTimes {
  return sumBy(profile, ({ functionName, url, lineNumber }) =>
    url === ''
      ? functionName.slice(0, maxNameLength)
      : `${functionName || '(anonymous)'} ${placeOf(url, lineNumber)}`,
  )
}

function sumBy(profile: CpuProfile, nameOf: NameOfFrame): SelfTimes {
  return [...secondsBy(profile, nameOf)].filter(([name]) => name !== idle).sort(([, a], [, b]) => b - a)
}

function secondsBy({ nodes, samples, timeDeltas }: CpuProfile, nameOf: NameOfFrame): Map<string, number> {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const seconds = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const name = names.get(id)!
    seconds.set(name, (seconds.get(name) ?? 0) + Math.max(0, timeDeltas[index]!) / 1e6)
  }
  return seconds
}

function partOf(functionName: string, url: string, lineNumber: number): string {
  if (url === '') return functionName.startsWith('(') ? functionName : '(built into V8 and Node)'
  const [, node] = /^node:(?:internal\/)?([\w-]+)/.exec(url) ?? []
  if (node !== undefined) return `node: ${node}`
  const place = placeOf(url, lineNumber)
  const packages = [...place.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)]
  if (packages.length > 0) return packages.at(-1)![1]!
  const [, folder] = /^src\/((?:[^/]+\/){0,2})/.exec(place) ?? []
  return folder === undefined ? place : `src/${folder}`
}

/**
 * @returns the path of a function's module, of packages and Tailrace from the project's directory, and its line: of a bundled
 * one, `+` and the line behind the module's beginning in the bundle
 */
function placeOf(url: string, lineNumber: number): string {
  if (!url.startsWith('file:')) return url
  const path = fileURLToPath(url)
  if (!path.startsWith(projectDirectory)) return `${path}:${lineNumber + 1}`
  const place = path.slice(projectDirectory.length)
  const module = place.startsWith('dist/') ? bundledModule(path, lineNumber) : undefined
  return module ?? `${place}:${lineNumber + 1}`
}

const bundles = new Map<string, readonly string[]>()

/** Above each module in a bundle stands its path. */
function bundledModule(bundle: string, lineNumber: number): string | undefined {
  const lines = bundles.get(bundle) ?? readFileSync(bundle, 'utf8').split('\n')
  bundles.set(bundle, lines)
  for (let line = lineNumber; line >= 0; line -= 1) {
    const [, module] = /^\/\/ ((?:src|node_modules)\/\S+)$/.exec(lines[line]!) ?? []
    if (module !== undefined) return `${module}+${lineNumber - line}`
  }
  return undefined
}
