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
  return sumBy(profile, ({ functionName, url }) => partOf(functionName, url))
}

/** @returns the same by function */
export function selfTimesByFunction(profile: CpuProfile): SelfTimes {
  return sumBy(profile, ({ functionName, url, lineNumber }) =>
    url === ''
      ? functionName.slice(0, maxNameLength)
      : `${functionName || '(anonymous)'} ${placeOf(url)}:${lineNumber + 1}`,
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

function partOf(functionName: string, url: string): string {
  if (url === '') return functionName.startsWith('(') ? functionName : '(built into V8 and Node)'
  const [, node] = /^node:(?:internal\/)?([\w-]+)/.exec(url) ?? []
  if (node !== undefined) return `node: ${node}`
  const place = placeOf(url)
  const packages = [...place.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)]
  if (packages.length > 0) return packages.at(-1)![1]!
  const [, folder] = /^(?:dist|src)\/((?:[^/]+\/){0,2})/.exec(place) ?? []
  return folder === undefined ? place : `src/${folder}`
}

function placeOf(url: string): string {
  if (!url.startsWith('file:')) return url
  const path = fileURLToPath(url)
  return path.startsWith(projectDirectory) ? path.slice(projectDirectory.length) : path
}
