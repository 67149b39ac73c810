import { type Random, seededRandom } from '../../doubles/seeded-random.ts'
import {
  answerFaults,
  type FaultKind,
  lies,
  listingFaults,
  readFaults,
  worldEvents,
} from '../support/blob-service/fault-plan.ts'

/**
 * What happens to a process at any of its calls: it is killed before the call or before it hears of its end, killed with
 * the loss of its machine's disk, or stopped.
 */
export const processFaults = ['crash', 'crash-unheard', 'crash-diskless', 'stop'] as const

/** What happens to a request to the table's storage. */
export const tableFaults = [
  'table-lost-reply',
  'table-lost-request',
  'table-late-request',
  'table-unavailable',
  'table-slow',
] as const

/** What happens to a call to the file system of a process's machine. */
export const fileFaults = ['disk-full', 'file-error'] as const

/** What happens to a call to a Databricks workspace. */
export const workspaceFaults = [
  'workspace-unavailable',
  'workspace-denied',
  'workspace-slow',
  'workspace-cut-upload',
  'workspace-lost-reply',
  'workspace-lost-request',
  'workspace-late-request',
  'workspace-orphan',
] as const

export type WorldFault =
  | FaultKind
  | (typeof processFaults)[number]
  | (typeof tableFaults)[number]
  | (typeof fileFaults)[number]
  | (typeof workspaceFaults)[number]

/** Faults of which at most one is drawn at a time, by what they happen to. */
const faultGroups = {
  writers: worldEvents,
  answers: [...answerFaults, ...readFaults, ...lies, ...listingFaults],
  table: tableFaults,
  files: fileFaults,
  processes: processFaults,
  workspace: workspaceFaults,
} as const satisfies Record<string, readonly WorldFault[]>

export type FaultGroup = keyof typeof faultGroups

export const worldFaults: readonly WorldFault[] = Object.values(faultGroups).flat()

/** The most that a kind of a group comes at one call. Files and processes are called far more often than storage. */
const maxChances: Readonly<Record<FaultGroup, number>> = {
  writers: 0.3,
  answers: 0.3,
  table: 0.3,
  files: 0.02,
  processes: 0.02,
  workspace: 0.3,
}

export const blobKinds = ['lines', 'documents', 'gzip'] as const
export type BlobKind = (typeof blobKinds)[number]

/** A Delta table, or a table of a Databricks workspace by the mode of its loads; of `zerobus`, the view of single rows. */
export const sinkKinds = [
  'delta',
  'transaction',
  'replace-where',
  'copy-into',
  'merge',
  'stage-only',
  'zerobus',
] as const
export type SinkKind = (typeof sinkKinds)[number]

/** The share of worlds with a Delta table. */
const deltaShare = 0.6

/** Tables that any number of processes can write at once, and that know what is landed when a machine's disk is lost. */
const sinksOfMany: ReadonlySet<SinkKind> = new Set(['delta', 'transaction', 'replace-where'])

export interface BlobPlan {
  /** Names it in histories and commands: its kind and a number. */
  readonly id: string
  readonly kind: BlobKind
}

export interface ProcessPlan {
  readonly id: string
  /** The id of the only blob that it lands; undefined for all that a listing finds. */
  readonly onlyBlob: string | undefined
  /** Goes on after the blobs' ends; otherwise it drains them, and is started again and again. */
  readonly follow: boolean
  readonly maxRows: number
  readonly maxAgeMs: number
  readonly rangeBytes: number
  readonly maxLanes: number
}

/** What is said of a world on the command line. All that is not said follows from the seed. */
export interface WorldChoice {
  readonly seed: number
  readonly sink?: SinkKind | undefined
  /** Calls at which the world misbehaves; from then on it is calm. */
  readonly steps?: number | undefined
  /** Others do not happen. */
  readonly faults?: readonly WorldFault[] | undefined
  /** Ids; others are not there. */
  readonly blobs?: readonly string[] | undefined
  readonly processes?: readonly string[] | undefined
}

/** Everything about a world that is drawn before it begins. */
export interface WorldPlan {
  readonly seed: number
  readonly sink: SinkKind
  readonly steps: number
  readonly blobs: readonly BlobPlan[]
  readonly processes: readonly ProcessPlan[]
  /** The blobs and processes that the seed names, those left out included. */
  readonly cast: { readonly blobs: readonly BlobPlan[]; readonly processes: readonly ProcessPlan[] }
  readonly faults: readonly WorldFault[]
}

const maxSteps = 500

/**
 * A leaner choice of the same seed is the same world with something left out: each thing is drawn from a stream of
 * its own, and a fault that is left out is still drawn and then does not happen.
 */
export function planWorld({ seed, sink, steps, faults, blobs, processes }: WorldChoice): WorldPlan {
  const random = randomOf(seed, 'cast')
  const allBlobs = Array.from({ length: random.between(1, 3) }, (_, index): BlobPlan => {
    const kind = random.next() < 0.5 ? 'lines' : blobKinds[random.between(0, blobKinds.length - 1)]!
    return { id: `${kind}-${index}`, kind }
  })
  const drawnProcesses = Array.from({ length: random.next() < 0.4 ? 1 : random.between(2, 3) }, (_, index) =>
    planProcess(randomOf(seed, `process ${index}`), 'abc'.charAt(index), allBlobs),
  )
  const chosenSink = sink ?? drawnSink(randomOf(seed, 'sink'))
  const allProcesses = sinksOfMany.has(chosenSink) ? drawnProcesses : apart(drawnProcesses, allBlobs)
  const drawnSteps = random.between(40, maxSteps)
  const drawnFaults = (Object.keys(drawnChances(seed)) as WorldFault[]).filter(
    (fault) => fault !== 'crash-diskless' || mayLoseDisk(chosenSink, allBlobs),
  )
  return {
    seed,
    sink: chosenSink,
    steps: steps ?? drawnSteps,
    blobs: allBlobs.filter(({ id }) => blobs?.includes(id) ?? true),
    processes: allProcesses.filter(({ id }) => processes?.includes(id) ?? true),
    cast: { blobs: allBlobs, processes: allProcesses },
    faults: drawnFaults.filter((fault) => faults?.includes(fault) ?? true),
  }
}

function drawnSink(random: Random): SinkKind {
  return random.next() < deltaShare ? 'delta' : sinkKinds[random.between(1, sinkKinds.length - 1)]!
}

/**
 * Zerobus is sent everything again, which its view shows once, except for the records of documents that have grown: they
 * were landed as several units, and come again as one (docs/databricks.md#zerobus).
 */
function mayLoseDisk(sink: SinkKind, blobs: readonly BlobPlan[]): boolean {
  return sinksOfMany.has(sink) || (sink === 'zerobus' && blobs.every(({ kind }) => kind !== 'documents'))
}

/** Only one process may land a blob into a table where two would double its rows. */
function apart(processes: readonly ProcessPlan[], blobs: readonly BlobPlan[]): readonly ProcessPlan[] {
  if (processes.length === 1) return processes
  return processes
    .slice(0, blobs.length)
    .map((process, index) => ({ ...process, onlyBlob: blobs[index]!.id }))
}

function planProcess(random: Random, id: string, blobs: readonly BlobPlan[]): ProcessPlan {
  return {
    id,
    onlyBlob: random.next() < 0.25 ? blobs[random.between(0, blobs.length - 1)]!.id : undefined,
    follow: random.next() < 0.75,
    maxRows: random.between(2, 20),
    maxAgeMs: random.between(200, 20_000),
    rangeBytes: random.between(random.next() < 0.2 ? 70 : 200, 4_000),
    maxLanes: random.between(1, 4),
  }
}

/** Draws the faults of a world, each group from a stream of its own. */
export class FaultDraws {
  #plan: WorldPlan
  #chances: Readonly<Partial<Record<WorldFault, number>>>
  #randoms: Readonly<Record<FaultGroup, Random>>

  constructor(plan: WorldPlan) {
    this.#plan = plan
    this.#chances = drawnChances(plan.seed)
    this.#randoms = Object.fromEntries(
      Object.keys(faultGroups).map((group) => [group, randomOf(plan.seed, `faults of ${group}`)]),
    ) as Record<FaultGroup, Random>
  }

  /** Draws at most one of some kinds of a group. */
  draw<Kind extends WorldFault>(group: FaultGroup, kinds: readonly Kind[]): Kind | undefined {
    let left = this.#randoms[group].next()
    for (const kind of kinds) {
      left -= this.#chances[kind] ?? 0
      if (left < 0) return this.#plan.faults.includes(kind) ? kind : undefined
    }
    return undefined
  }
}

/** Some of the kinds and how often they come: with all on at once, most would hide the others. */
function drawnChances(seed: number): Partial<Record<WorldFault, number>> {
  const random = randomOf(seed, 'chances')
  const chances: Partial<Record<WorldFault, number>> = {}
  for (const [group, kinds] of Object.entries(faultGroups)) {
    const most = maxChances[group as FaultGroup]
    const drawn = kinds.map((kind) => [kind, random.next() < 0.4 ? most * random.next() ** 2 : 0] as const)
    const sum = drawn.reduce((total, [, chance]) => total + chance, 0)
    for (const [kind, chance] of drawn) if (chance > 0) chances[kind] = chance / Math.max(1, sum / 0.8)
  }
  return chances
}

/** A stream of randomness for one purpose. */
export function randomOf(seed: number, purpose: string): Random {
  let hash = 0x811c_9dc5 ^ seed
  for (const character of purpose) hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193)
  return seededRandom(Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d))
}

/** @returns the command that replays a world */
export function commandOf({ seed, sink, steps, faults, blobs, processes }: WorldChoice): string {
  const part = (name: string, values: readonly string[] | undefined): string =>
    values === undefined ? '' : ` --${name} ${values.join(',') || 'none'}`
  const sinkPart = sink === undefined ? '' : ` --sink ${sink}`
  const stepsPart = steps === undefined ? '' : ` --steps ${steps}`
  return `pnpm simulate --seed ${seed}${sinkPart}${stepsPart}${part('faults', faults)}${part('blobs', blobs)}${part('processes', processes)}`
}
