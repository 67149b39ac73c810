/** The state of a listed blob in this process. */
export type BlobState =
  /** Not on the board: never listed, landed whole, or left out because the backlog is full. */
  | 'unknown'
  /** Waits for a lane, in the live queue or in the backlog. */
  | 'queued'
  /** Has a lane, or one is being opened. */
  | 'reading'
  /** Its lane is ending, because another process landed bytes that this one had read. */
  | 'yielding'
  /** Was read to its end, and may grow. */
  | 'quiet'
  /** Was missing when it was read last. */
  | 'gone'
  /** Set aside for a while: its reads fail. */
  | 'failing'
  /** Set aside for a while: its content is not supported. */
  | 'refused'
  /** Set aside for a while: another process lands it. */
  | 'fenced'

/** The events of a listed blob: the first group comes from a scan, the second from its lane, the last from the sink. */
export type BlobEvent =
  /** Listed while unknown, and nothing of it has landed. */
  | 'found'
  /** Listed while unknown, and longer than the part that has landed. */
  | 'found-grown'
  /** Listed with another length or creation instant than before. */
  | 'changed'
  /** Among the newest blobs. */
  | 'newest'
  /** Among the newest blobs, and to have a lane even when there is nothing to read. */
  | 'followed'
  /** Its place in the full backlog goes to a blob with an older name. */
  | 'displaced'
  /** Its time set aside is over. */
  | 'retried'
  /** Landed whole, and quiet for long or gone. */
  | 'forgotten'

  /** Off the queue; a lane is opened for it. */
  | 'taken'
  /** Its lane ended at the blob's end or by a stop, or the blob is empty. */
  | 'finished'
  /** The blob, or its container, is missing. */
  | 'vanished'
  /** Its reads failed while those of other blobs succeed. */
  | 'read-failed'
  /** Its content is not supported. */
  | 'content-refused'

  /** Another process landed bytes that this one had read. */
  | 'overtaken'

export interface BoardStatus {
  readonly state: BlobState
  /** Read before the backlog: it was read to its end before, or is among the newest blobs. */
  readonly isLive: boolean
}

/** The status of a blob that is not on the board. */
export const unknownBlob: BoardStatus = { state: 'unknown', isLive: false }

type Row = Readonly<Partial<Record<BlobEvent, BlobState>>>

/** The next state by state and event; an event that a row leaves out cannot happen in its state. */
const transitions: Readonly<Record<BlobState, Row>> = {
  unknown: { found: 'queued', 'found-grown': 'queued', newest: 'queued', followed: 'queued' },
  queued: {
    ...unmoved('queued'),
    taken: 'reading',
    displaced: 'unknown',
    overtaken: 'fenced',
  },
  reading: {
    ...unmoved('reading'),
    finished: 'quiet',
    vanished: 'gone',
    'read-failed': 'failing',
    'content-refused': 'refused',
    overtaken: 'yielding',
  },
  // However the lane ends, the sink drops the bytes in flight, so the blob has to be read again from the table's offset.
  yielding: {
    ...unmoved('yielding'),
    finished: 'fenced',
    vanished: 'fenced',
    'read-failed': 'fenced',
    'content-refused': 'fenced',
    overtaken: 'yielding',
  },
  quiet: {
    ...unmoved('quiet'),
    changed: 'queued',
    followed: 'queued',
    forgotten: 'unknown',
    overtaken: 'fenced',
  },
  gone: {
    ...unmoved('gone'),
    changed: 'queued',
    followed: 'queued',
    forgotten: 'unknown',
    overtaken: 'fenced',
  },
  failing: { ...unmoved('failing'), retried: 'queued', overtaken: 'failing' },
  // Other content may be supported. A change says nothing about reads that fail: those wait for their retry.
  refused: { ...unmoved('refused'), changed: 'queued', retried: 'queued', overtaken: 'refused' },
  fenced: { ...unmoved('fenced'), retried: 'queued', overtaken: 'fenced' },
}

/** The events that a scan may raise in any state of a blob on the board; where they leave the state as it is. */
function unmoved(state: BlobState): Row {
  return { changed: state, newest: state, followed: state }
}

const eventsOfLiveBlobs: ReadonlySet<BlobEvent> = new Set(['found-grown', 'newest', 'followed'])

/** @throws Error for an event that cannot happen in this state: a mistake of the caller */
export function nextStatus({ state, isLive }: BoardStatus, event: BlobEvent): BoardStatus {
  const next = transitions[state][event]
  if (next === undefined) throw new Error(`A blob that is ${state} cannot be ${event}.`)
  if (next === 'unknown') return unknownBlob
  return { state: next, isLive: isLive || eventsOfLiveBlobs.has(event) || isAtRest(next) }
}

/** The queue that a blob waits in; undefined when it does not wait for a lane. */
export function queueOf({ state, isLive }: BoardStatus): 'live' | 'backlog' | undefined {
  if (state !== 'queued') return undefined
  return isLive ? 'live' : 'backlog'
}

/** @returns the state as a person needs to know it */
export function shownState(state: BlobState): 'reading' | 'queued' | 'quiet' | 'set aside' | 'gone' {
  if (hasLane(state)) return 'reading'
  if (isSetAside(state)) return 'set aside'
  return state === 'queued' ? 'queued' : state === 'gone' ? 'gone' : 'quiet'
}

/** Whether a blob has a lane, or one is being opened or ending. */
export function hasLane(state: BlobState): boolean {
  return state === 'reading' || state === 'yielding'
}

/** Whether a blob was read to its end, or was missing then. */
export function isAtRest(state: BlobState): boolean {
  return state === 'quiet' || state === 'gone'
}

/** Whether a blob is left alone for a while, so that its neighbors are read. */
export function isSetAside(state: BlobState): boolean {
  return state === 'failing' || state === 'refused' || state === 'fenced'
}
