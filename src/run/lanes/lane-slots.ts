import type { BlobBoard, BoardBlob } from './blob-board.ts'

/** The places for lanes, and those among them that the backlog never takes. */
export class LaneSlots {
  #maxLanes: number
  #maxBacklogLanes: number
  #running = new Map<BoardBlob, { readonly isBacklog: boolean; readonly done: Promise<void> }>()

  /** @param follow a drain keeps no places for live blobs */
  constructor(maxLanes: number, follow: boolean) {
    const reserved = maxLanes === 1 || !follow ? 0 : Math.max(1, Math.floor(maxLanes / 4))
    this.#maxLanes = maxLanes
    this.#maxBacklogLanes = maxLanes - reserved
  }

  get count(): number {
    return this.#running.size
  }

  get blobs(): Iterable<BoardBlob> {
    return this.#running.keys()
  }

  /**
   * The queue whose next blob gets a lane: live blobs go first, but leave one lane to the backlog. Undefined when no lane can
   * start.
   */
  nextQueue({ liveCount, backlogCount }: BlobBoard): 'live' | 'backlog' | undefined {
    const free = this.#maxLanes - this.#running.size
    if (free <= 0) return undefined
    const isLastForBacklog = free === 1 && this.#maxLanes > 1 && backlogCount > 0 && this.#backlogLanes === 0
    if (liveCount > 0 && !isLastForBacklog) return 'live'
    return backlogCount > 0 && this.#backlogLanes < this.#maxBacklogLanes ? 'backlog' : undefined
  }

  /** Whether a lane that waits at its blob's end is to give up its place, after all free ones are filled. */
  isShort({ liveCount, backlogCount }: BlobBoard): boolean {
    return liveCount > 0 || (backlogCount > 0 && this.#backlogLanes === 0)
  }

  /**
   * Holds a place until `work` ends, and then calls `onFree`. A blob may be taken again as soon as its work has nothing left
   * to do, before the promise of that work is settled: the place is then that of the later work.
   */
  hold(blob: BoardBlob, queue: 'live' | 'backlog', work: Promise<void>, onFree: () => void): void {
    const isBacklog = queue === 'backlog'
    const done = work.finally(() => {
      if (this.#running.get(blob)?.done === done) this.#running.delete(blob)
      onFree()
    })
    this.#running.set(blob, { isBacklog, done })
  }

  /** Resolves once no lane runs. */
  async allEnded(): Promise<void> {
    while (this.#running.size > 0) await Promise.race([...this.#running.values()].map(({ done }) => done))
  }

  get #backlogLanes(): number {
    return [...this.#running.values()].filter(({ isBacklog }) => isBacklog).length
  }
}
